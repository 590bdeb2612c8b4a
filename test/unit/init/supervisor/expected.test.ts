/** The supervisor: what libvirt starts when the launcher is dead already. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { valueOr } from '../../../../src/util/errors.js';
import { processesWith, uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A supervisor, and processes that are not its children. */
async function supervised(t: TestContext) {
  const path = scratchDirectory(t);
  const directory = join(path, 'state');
  mkdirSync(directory);
  const supervisor = await Supervisor.start({ directory });
  t.after(() => supervisor.finish());
  const pidFile = join(path, 'pid');
  const name = uniqueName();
  const start = async (argument: string) => {
    // It does not end with its child.
    const child = spawn('sh', ['-c', 'sleep 1000 & echo; wait; kill -STOP $$', argument], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    t.after(() => endAll(child));
    await once(child.stdout, 'data');
    return child;
  };
  const record = (pid: number | undefined) => {
    writeFileSync(`${pidFile}.new`, `${pid}\n`);
    renameSync(`${pidFile}.new`, pidFile);
  };
  return { supervisor, pidFile, name, start, record };
}

/** Ends it and its child, as far as they still run. */
function endAll({ pid = 0 }: ChildProcess): void {
  assert.ok(pid > 1);
  valueOr(() => process.kill(-pid, 'SIGKILL'), false);
}

/** The processes that were started with it. */
function groupOf({ pid }: ChildProcess): string[] {
  const { stdout } = spawnSync('pgrep', ['-g', String(pid), '-r', 'R,S,D,T'], { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}

test('one that starts when the launcher is gone is killed, with its children', async (t) => {
  const { supervisor, pidFile, name, start, record } = await supervised(t);
  supervisor.expect('expect-parent', name, pidFile, undefined);
  const finishing = supervisor.finish();
  const child = await start(name);
  const ended = once(child, 'exit');
  // Its stdout is that of its child too, and ends with both.
  const silent = once(child.stdout ?? assert.fail(), 'close');
  record(child.pid);
  await finishing;
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  await silent;
  assert.deepEqual(processesWith(name), []);
});

/** One that is recorded before the one that is expected is not that. @param isKnown whether that is said of it */
async function assertOnlyExpectedEnds(t: TestContext, suffix: string, isKnown: boolean): Promise<void> {
  const { supervisor, pidFile, name, start, record } = await supervised(t);
  const other = await start(`${name}${suffix}`);
  record(other.pid);
  supervisor.expect('expect', name, pidFile, isKnown ? other.pid : undefined);
  const finishing = supervisor.finish();
  const child = await start(name);
  const ended = once(child, 'exit');
  record(child.pid);
  await finishing;
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  assert.equal(other.exitCode ?? other.signalCode, null);
}

test('one that was there before is another one', (t) => assertOnlyExpectedEnds(t, '', true));

test('one with another argument is not what is expected', (t) => assertOnlyExpectedEnds(t, '-other', false));

test('one that waits to be stopped has no further child', async (t) => {
  const { supervisor, pidFile, name, record } = await supervised(t);
  // It makes a child as soon as it goes on, and has none until then.
  const child = spawn('sh', ['-c', 'kill -STOP $$; sleep 1000 & wait', name], { stdio: 'ignore', detached: true });
  t.after(() => endAll(child));
  const ended = once(child, 'exit');
  record(child.pid);
  supervisor.expect('expect-parent', name, pidFile, undefined);
  await supervisor.finish();
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  assert.deepEqual(groupOf(child), []);
});

test('none is expected when libvirt has answered', async (t) => {
  for (const answer of ['failed', 'started'] as const) {
    const { supervisor, pidFile, name, start, record } = await supervised(t);
    const [other, child] = [await start(name), await start(name)];
    const ended = once(child, 'exit');
    supervisor.expect('expect', name, pidFile, undefined);
    supervisor.killAtLast(answer === 'failed' ? 0 : (child.pid ?? 0), name);
    record(other.pid);
    await supervisor.finish();
    assert.equal(other.exitCode ?? other.signalCode, null);
    if (answer === 'failed') assert.equal(child.exitCode ?? child.signalCode, null);
    else assert.deepEqual(await ended, [null, 'SIGKILL']);
  }
});
