/** Trees that are copied into a sandbox and back, from a program, over every way to libvirt. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { CopyResult } from '../../src/index.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** What copying.ts prints. */
interface Copied {
  readonly there: {
    readonly up: CopyResult;
    readonly down: CopyResult;
    readonly inside: string;
    readonly isSame: boolean;
  };
  readonly blocks: number;
  readonly many: unknown;
  readonly modules: boolean;
  readonly refused: readonly string[];
  readonly left: string;
  readonly onHost: readonly string[];
  readonly name: string;
}

/** @param options how the program is run, which has `directory` for itself */
async function copy(
  t: TestContext,
  uri: string,
  directory: string,
  count: number,
  options: RunOptions,
): Promise<Copied> {
  const result = await runSandbox([`${REPOSITORY}build/test/helpers/copying.js`, uri, directory, String(count)], {
    ...options,
    program: process.execPath,
    timeout: 240_000,
  });
  assert.equal(result.code, 0, result.stderr);
  t.diagnostic(result.stderr);
  return JSON.parse(result.out) as Copied;
}

function check(said: Copied, count: number, uid: number): void {
  const counts = { files: 4, directories: 4, links: 1, bytes: 6 + 10 + 5_000_001 + 65_536, skipped: [] };
  assert.deepEqual([said.there.up, said.there.down], [counts, counts]);
  assert.equal(
    said.there.inside,
    'program 755 regular file 1000000001\nsub/empty 500 directory 1000000002\nsub/fifo 620 fifo ' +
      `${said.there.inside.match(/fifo 620 fifo (\d+)/)?.[1]}\nsparse 644 regular file ` +
      `${said.there.inside.match(/sparse 644 regular file (\d+)/)?.[1]}\n../nowhere \n\n64 KiB\n${uid}\n${uid}\n`,
  );
  assert.ok(said.there.isSame);
  assert.equal(said.blocks, 64);
  assert.deepEqual(said.many, { counts: [count, count], isSame: true });
  assert.ok(said.modules);
  const [readOnly, denied, aborted, exists, empty, unknown] = said.refused;
  assert.match(readOnly ?? '', /^permission-denied: .*\/usr\/new in the sandbox: it is read-only/);
  assert.match(denied ?? '', /^permission-denied: .*\/etc\/shadow in the sandbox/);
  assert.equal(aborted, 'Error: enough');
  assert.match(exists ?? '', /^permission-denied: .*\/srv\/tree\/.* in the sandbox/);
  assert.match(empty ?? '', /^config-value-invalid/);
  assert.match(unknown ?? '', /^config-key-unknown/);
  assert.equal(said.left, 'many\ntree\nvalibot\n');
  assert.deepEqual(said.onHost, ['back', 'many', 'many-back', 'tree', 'valibot']);
}

for (const [way, count] of [
  [embedded, 2_000],
  [system, 200],
  [lxc, 1000],
] as const) {
  it(`over ${way.uri}`, { skip: way.skip }, async (t) => {
    const directory = join(scratchDirectory(t), 'copies');
    mkdirSync(directory);
    const said = await copy(t, way.uri, directory, count, way.options);
    check(said, count, 0);
    await assertNothingLeft(said.name, way.where);
  });
}

describe('an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('over qemu:///session', async (t) => {
    const top = scratchDirectory(t);
    chmodSync(top, 0o755);
    const directory = join(top, 'copies');
    mkdirSync(directory);
    chownSync(directory, user.uid, user.uid);
    const said = await copy(t, 'qemu:///session', directory, 200, user.options);
    check(said, 200, user.uid);
    await assertNothingLeft(said.name, user.where);
  });
});
