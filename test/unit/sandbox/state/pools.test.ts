/** The directories of pools: links that users put there, and what killed holders left. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimPool, findPools, poolHolders, releasePool } from '../../../../src/sandbox/state/pools.js';
import { stateBase } from '../../../../src/sandbox/state/state-directory.js';
import { sphere } from '../../../../src/util/sphere.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

test('who holds pools of a user is read from directories of that user, and through no link', (t) => {
  const home = scratchDirectory(t);
  const pools = join(home, '.cache', 'libvirt-sandbox-pools');
  const elsewhere = join(home, 'elsewhere');
  for (const directory of [join(pools, 'own'), elsewhere]) mkdirSync(directory, { recursive: true });
  writeFileSync(join(pools, 'own', 'owner'), '7 1 here 1\n');
  writeFileSync(join(elsewhere, 'owner'), '8 2 here 1\n');
  symlinkSync(elsewhere, join(pools, 'link'));
  const uid = process.getuid?.() ?? 0;
  assert.deepEqual([...poolHolders({ uid, home })].sort(), ['', '7 1']);
  assert.deepEqual([...poolHolders({ uid: uid + 1, home })], []);
});

test('the directory of a pool whose holder was killed is removed by the next one, and by who lists them', (t) => {
  const base = `${stateBase()}-pools`;
  const left = (text: string) => {
    const name = uniqueName();
    mkdirSync(join(base, name), { recursive: true });
    if (text !== '') writeFileSync(join(base, name, 'owner'), text);
    t.after(() => rmSync(join(base, name), { recursive: true, force: true }));
    return join(base, name);
  };
  const dead = `4194304 1 ${sphere()} 1\n`;
  const first = left(dead);
  const held = claimPool(uniqueName());
  t.after(() => releasePool(held));
  assert.ok(!existsSync(first));
  const [second, foreign] = [left(dead), left('4194304 1 elsewhere-1 1\n')];
  assert.ok(findPools().some(({ directory }) => directory === held.path));
  assert.deepEqual([existsSync(second), existsSync(foreign)], [false, true]);
  assert.equal(readFileSync(join(held.path, 'owner'), 'utf8'), held.owner);
});
