/** Files of a sandbox, from a program, over every way to libvirt. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';

/** What filing.ts prints. */
interface Filed {
  readonly there: Readonly<Record<string, unknown>>;
  readonly refused: { readonly readOnly: string; readonly codes: readonly string[]; readonly kept: readonly string[] };
  readonly confined: string;
  readonly broken: readonly string[];
  readonly watched: unknown;
  readonly huge: unknown;
  readonly lost: readonly string[];
  readonly name: string;
}

async function file(uri: string, mebibytes: number, options: RunOptions): Promise<Filed> {
  const result = await runSandbox([`${REPOSITORY}build/test/helpers/filing.js`, uri, String(mebibytes)], {
    ...options,
    program: process.execPath,
    timeout: 240_000,
  });
  assert.equal(result.code, 0, result.stderr);
  return JSON.parse(result.out) as Filed;
}

function check(said: Filed, mebibytes: number, uid: number, gid: number): void {
  assert.deepEqual(said.there, {
    text: 'hällo\nmore\n',
    list: [
      ['a', 'directory', 0, 0o755, ''],
      ['broken', 'link', 0, 0o777, 'nowhere'],
      ['fifo', 'fifo', 0, 0o644, ''],
      ['link', 'link', 0, 0o777, 'text'],
      ['mounts', 'directory', 0, 0o777, ''],
      ['n\n\udcff', 'file', 3, 0o644, ''],
      ['text', 'file', 12, 0o640, ''],
    ],
    odd: 'raw',
    recent: true,
    status: { type: 'file', size: 12, mode: 0o640, uid, gid },
    link: 'link',
    exists: [true, false, false, false],
    moved: ['c', 'moved'],
    relative: 'permission-denied',
    left: ['broken', 'fifo', 'link', 'mounts', 'text'],
  });
  const { readOnly, codes, kept } = said.refused;
  assert.match(
    readOnly,
    /^application: cannot write \/usr\/new: read-only file system \(.*\); .* use \/tmp, or .*mount/,
  );
  assert.deepEqual(codes, [
    'file-not-found',
    'file-exists',
    'permission-denied',
    'permission-denied',
    'not-a-directory',
    'is-a-directory',
    'directory-not-empty',
    'no-space',
    'file-too-large',
    'file-failed',
    'file-failed',
    'user-unknown',
    'config-value-invalid',
    'config-key-unknown',
  ]);
  assert.deepEqual(kept, ['for root', '0', '0']);
  assert.equal(said.confined, 'inside');
  assert.deepEqual(said.broken, ['AbortError', 'RangeError', 'RangeError', 'old', 'file']);
  assert.deepEqual(said.watched, {
    changes: ['create a', 'rename-from a', 'rename-to b', 'remove b', 'create log', 'modify log'],
    done: [true, true, true],
  });
  assert.deepEqual(said.huge, { size: mebibytes << 20, isSame: true });
  assert.deepEqual(said.lost, ['process-lost', 'process-lost', 'true', 'process-lost']);
}

for (const [way, mebibytes] of [
  [embedded, 1024],
  [system, 32],
  [lxc, 32],
] as const) {
  it(`over ${way.uri}`, { skip: way.skip }, async () => {
    const said = await file(way.uri, mebibytes, way.options);
    check(said, mebibytes, 0, 0);
    await assertNothingLeft(said.name, way.where);
  });
}

describe('an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('over qemu:///session', async () => {
    const said = await file('qemu:///session', 32, user.options);
    check(said, 32, user.uid, user.uid);
    await assertNothingLeft(said.name, user.where);
  });
});
