/** Processes beside the application, from a program, over every way to libvirt. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type RunResult as Result, Sandbox } from '../../src/index.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';

/** What talking.ts prints. */
interface Talk {
  readonly plain: Result;
  readonly shell: string;
  readonly identity: string;
  readonly nobody: string;
  readonly fifty: { readonly whole: number; readonly codes: readonly number[] };
  readonly slowAndQuick: { readonly quick: number; readonly slow: string };
  readonly terminal: string;
  readonly killed: readonly unknown[];
  readonly lines: readonly unknown[];
  readonly late: Result;
  readonly aborted: string;
  readonly errors: readonly string[];
  readonly left: string;
  readonly held: string;
  readonly tooMuch: string;
  readonly terminalOfUser: string;
  readonly after: string;
  readonly name: string;
}

const NONE = '0000000000000000';

async function talk(uri: string, options: RunOptions): Promise<Talk> {
  const result = await runSandbox([`${REPOSITORY}build/test/helpers/talking.js`, uri], {
    ...options,
    program: process.execPath,
    timeout: 240_000,
  });
  assert.equal(result.code, 0, result.stderr);
  return JSON.parse(result.out) as Talk;
}

function check(said: Talk, uid: number): void {
  const { stdout, stderr, exitCode, code, signal, timedOut, milliseconds } = said.plain;
  assert.deepEqual(
    { stdout, stderr, exitCode, code, signal, timedOut },
    { stdout: 'a b||$A|', stderr: '', exitCode: 0, code: 0, signal: undefined, timedOut: false },
  );
  assert.ok(milliseconds > 0);
  assert.equal(said.shell, 'a b\n/usr\n');
  const [id, , , effective, bounding, privileges] = said.identity.split('\n');
  assert.equal(id, String(uid));
  // As the application has it.
  assert.deepEqual([effective, bounding, privileges], [`CapEff:\t${NONE}`, `CapBnd:\t${NONE}`, 'NoNewPrivs:\t1']);
  assert.deepEqual(said.fifty, { whole: 50, codes: Array.from({ length: 50 }, (_, at) => at) });
  const zeros = createHash('sha256').update(Buffer.alloc(4_000_000)).digest('hex');
  assert.deepEqual(said.slowAndQuick, { quick: 3_000_000, slow: zeros });
  assert.match(said.terminal, /^41 91\r\nvt100\r\n/m);
  assert.deepEqual(said.killed, ['SIGTERM', 0, 'kept', 0]);
  assert.deepEqual(said.lines, [[['a', 'ä', '', 'last'], 3], 'SIGKILL', [['x', 'y'], 0], 'line-too-long', 'enough: x']);
  assert.deepEqual([said.late.timedOut, said.late.signal], [true, 'SIGKILL']);
  // On a busy host its time may be over before it has said a word.
  assert.ok('begun\n'.startsWith(said.late.stdout), said.late.stdout);
  assert.equal(said.aborted, 'enough');
  assert.deepEqual(said.errors, [
    'command-not-found',
    'command-not-executable',
    'cwd-unusable: give cwd a directory that exists inside and that the user may enter',
    'user-unknown',
    'run-failed',
    'output-too-large',
    'config-value-invalid',
    'config-key-unknown',
    'config-value-invalid',
  ]);
  assert.equal(said.left, 'process-lost');
  assert.deepEqual([said.held, said.tooMuch], ['TimeoutError', 'output-too-large']);
  assert.match(said.terminalOfUser, /^\/\S* nobody dumb\n$/);
  assert.equal(said.after, 'process-lost');
}

it('is lost where the sandbox ends without it', { skip: embedded.skip }, async () => {
  const sandbox = await Sandbox.start({ command: ['sleep', '1000'] }, { connect: embedded.uri });
  const process = await sandbox.spawn(['cat']);
  process.stdin.write(Buffer.alloc(4 << 20));
  const error = {
    code: 'process-lost',
    message: 'cat: the sandbox ended before it did, so it may have run in part, or to its end',
  };
  const lost = assert.rejects(process.exited, error);
  // What was read so far must not pass for all of it.
  const other = await sandbox.spawn(['cat']);
  const loop = (async () => {
    for await (const line of other) assert.fail(line);
  })();
  const cut = assert.rejects(loop, error);
  await sandbox.stop();
  await lost;
  await cut;
  await assert.rejects(sandbox.run('true'), { code: 'process-lost' });
  await assertNothingLeft(sandbox.name);
});

for (const way of [embedded, system, lxc]) {
  it(`over ${way.uri}`, { skip: way.skip }, async () => {
    const said = await talk(way.uri, way.options);
    check(said, 0);
    assert.equal(said.nobody, `nobody\n65534\nCapEff:\t${NONE}\nCapBnd:\t${NONE}\n`);
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
    const said = await talk('qemu:///session', user.options);
    check(said, user.uid);
    await assertNothingLeft(said.name, user.where);
  });
});
