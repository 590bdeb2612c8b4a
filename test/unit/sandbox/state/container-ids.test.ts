/** Which ids of the host a container has. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { IdRange } from '../../../../src/protocol/operations.js';
import { containerIds } from '../../../../src/sandbox/state/container-ids.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const RANGE = 65_536;
const RANGES = 1022;
const FIRST = 2_080_374_784;
const ROOT = { uid: 0, gid: 0, groups: [] };

/** The test's own user namespace must have these ids, as a host has. */
const skip = /^ *0 +0 4294967295\n$/.test(readFileSync('/proc/self/uid_map', 'latin1')) ? false : 'no such ids here';

function stateDirectory(t: TestContext): string {
  const path = join(scratchDirectory(t), 'name');
  mkdirSync(path);
  return path;
}

/** Every id inside must have one outside, and only one. */
function assertWhole(ranges: readonly IdRange[]): void {
  let next = 0;
  for (const { inside, count } of ranges.filter((range) => range.inside < RANGE)) {
    assert.equal(inside, next);
    next += count;
  }
  assert.equal(next, RANGE);
}

describe('the ids of a container', { skip }, () => {
  test('of root are a range that nobody has', (t) => {
    const path = stateDirectory(t);
    const { uids, gids } = containerIds(path, ROOT);
    const outside = FIRST + RANGE * (statSync(path).ino % RANGES);
    assert.deepEqual(uids, [{ inside: 0, outside, count: RANGE }]);
    assert.deepEqual(gids, uids);
  });

  test('of root stay that, whatever groups root is in', (t) => {
    const groups = [0, 4, 42];
    assert.equal(containerIds(stateDirectory(t), { ...ROOT, groups }).gids.length, 1);
  });

  test('of an image are a range that nobody has, whoever its user is', (t) => {
    const { uids, gids } = containerIds(stateDirectory(t), { uid: 1000, gid: 100, groups: [4] }, true);
    assert.deepEqual([uids.length, uids[0]?.inside, uids[0]?.count], [1, 0, RANGE]);
    assert.ok((uids[0]?.outside ?? 0) >= FIRST);
    assert.deepEqual(gids, uids);
  });

  test('of an image are as many as a container has', (t) => {
    for (const identity of [
      { ...ROOT, uid: RANGE },
      { ...ROOT, gid: RANGE + 1 },
      { ...ROOT, groups: [5_000_000] },
    ])
      assert.throws(
        () => containerIds(stateDirectory(t), identity, true),
        (error) => error instanceof SandboxError && error.code === 'user-not-mapped',
      );
  });

  test('of another user are that user and the groups, and the range for all others', (t) => {
    const { uids, gids } = containerIds(stateDirectory(t), { uid: 1000, gid: 100, groups: [4, 5, 200_000, 0] });
    const same = (ranges: readonly IdRange[]) => ranges.flatMap((r) => (r.inside === r.outside ? [r.inside] : []));
    assert.deepEqual(same(uids), [1000]);
    assert.deepEqual(same(gids), [4, 5, 100, 200_000]);
    assertWhole(uids);
    assertWhole(gids);
    for (const { outside, inside } of [...uids, ...gids]) assert.ok(outside === inside || outside >= FIRST);
  });

  test('fit into a page, however many groups the user has', (t) => {
    const groups = Array.from({ length: 1000 }, (_, index) => 2 * index + 1);
    const { gids } = containerIds(stateDirectory(t), { uid: 1000, gid: 1000, groups });
    const text = gids.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join('');
    assert.ok(text.length < 4096, String(text.length));
    assertWhole(gids);
  });

  test('are not those of another sandbox', (t) => {
    const path = stateDirectory(t);
    const number = statSync(path).ino % RANGES;
    for (const [name, taken] of [
      ['a', number],
      ['b', (number + 1) % RANGES],
    ] as const) {
      mkdirSync(join(path, '..', name));
      writeFileSync(join(path, '..', name, 'ids'), `${taken}\n`);
    }
    const { uids } = containerIds(path, ROOT);
    assert.equal(uids[0]?.outside, FIRST + RANGE * ((number + 2) % RANGES));
    assert.equal(readFileSync(join(path, 'ids'), 'utf8'), `${(number + 2) % RANGES}\n`);
  });
});
