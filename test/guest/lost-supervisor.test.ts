/** Whoever kills or stops the supervisor of a sandbox: its end is bounded, its status right, and nothing is left. */

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from '../../src/sandbox/sandbox.js';
import { valueOr } from '../../src/util/errors.js';
import { MARKS, type Mark, type MarkName } from '../../src/util/marks.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName, type WhereLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, type Running, type RunOptions, startSandbox } from '../helpers/run.js';

/** How long libvirt may take to end a machine whose launcher and supervisor were killed, in milliseconds. */
const END_MS = 15_000;

/** Ends with 7 after a line. */
/** It needs its root at the end. */
const WAITING = ['sh', '-c', 'echo running; read line; ls -d /usr >/dev/null || exit 9; exit 7'];

const SIZE = { rows: 24, columns: 80 };

/** The supervisor of the sandbox `name`, not one that cleans up after it; undefined if there is none. */
function supervisorOf(name: string): number | undefined {
  const line = processesWith(name).find((text) => /^\d+ \S*\/supervisor \/\S+/.test(text));
  return line === undefined ? undefined : Number.parseInt(line, 10);
}

function signalSupervisor(name: string, signal: NodeJS.Signals): void {
  const pid = supervisorOf(name);
  assert.ok(pid !== undefined, 'there is a supervisor');
  process.kill(pid, signal);
}

/** Ends what a test leaves that has failed. */
function killLeft(name: string, running: Running): void {
  running.child.kill('SIGKILL');
  killSupervisor(name);
}

function killSupervisor(name: string): void {
  const pid = supervisorOf(name);
  // It may end by itself meanwhile.
  if (pid !== undefined) valueOr(() => process.kill(pid, 'SIGKILL'), false);
}

/** libvirt ends QEMU when nobody is left who could. */
async function processesEnd(name: string): Promise<void> {
  for (const deadline = Date.now() + END_MS; processesWith(name).length > 0; await sleep(50))
    assert.ok(Date.now() < deadline, processesWith(name).join('\n'));
}

/** Waits for a mark of a sandbox of this process. */
function markOf(name: MarkName): Promise<void> {
  return new Promise((resolve) => {
    const onMark = (message: unknown) => {
      if ((message as Mark).name !== name) return;
      unsubscribe(MARKS, onMark);
      resolve();
    };
    subscribe(MARKS, onMark);
  });
}

interface Host {
  readonly uri: string;
  readonly where: WhereLeft;
  readonly options: RunOptions;
}

/**
 * @param hostOf known when the tests run
 * @param isShort leaves out what is the same for every user
 */
function testsOf(uri: string, hostOf: () => Host, isShort: boolean): void {
  const start = (t: TestContext, name: string, command = WAITING) => {
    const { options } = hostOf();
    const running = startSandbox(['-c', uri, '-n', name, '--', ...command], { ...options, input: 'open' });
    t.after(() => killLeft(name, running));
    return running;
  };
  const begun = async (t: TestContext) => {
    const name = uniqueName();
    const running = start(t, name);
    await running.until(/running/);
    return { name, running };
  };
  const assertGone = (name: string) => assertNothingLeft(name, exceptLogs(hostOf().where));

  it('killed in mid-run', async (t) => {
    const { name, running } = await begun(t);
    signalSupervisor(name, 'SIGKILL');
    // Without a daemon, libvirt is a child of the supervisor.
    if (uri === embedded.uri) {
      assert.match((await running.result).stderr, /^virt-sandbox: domain: the supervisor, .*SIGKILL ended it; .+\n$/);
      assert.equal((await running.result).code, 125);
    } else {
      running.child.stdin?.write('\n');
      assert.equal((await running.result).code, 7, running.stderr());
    }
    await assertGone(name);
  });

  it('stopped in mid-run', async (t) => {
    const { name, running } = await begun(t);
    signalSupervisor(name, 'SIGSTOP');
    running.child.stdin?.write('\n');
    assert.equal((await running.result).code, 7, running.stderr());
    await assertGone(name);
  });

  it('killed together with the launcher', async (t) => {
    const { name, running } = await begun(t);
    signalSupervisor(name, 'SIGKILL');
    process.kill(running.pid, 'SIGKILL');
    await running.result;
    await processesEnd(name);
    // What is left is the state directory.
    const again = start(t, name);
    await again.until(/running/);
    again.child.stdin?.write('\n');
    assert.equal((await again.result).code, 7, again.stderr());
    await assertGone(name);
  });

  if (isShort) return;

  it('stopped, and the launcher told to end', async (t) => {
    const { name, running } = await begun(t);
    signalSupervisor(name, 'SIGSTOP');
    process.kill(running.pid, 'SIGTERM');
    assert.equal((await running.result).code, 143, running.stderr());
    await assertGone(name);
  });

  it('killed while it is to clean up', async (t) => {
    const sandbox = await Sandbox.start({ command: WAITING }, { connect: uri });
    t.after(() => killSupervisor(sandbox.name));
    signalSupervisor(sandbox.name, 'SIGSTOP');
    const ending = markOf('end.start');
    sandbox.stdin.end('\n');
    // The status is known now.
    await ending;
    signalSupervisor(sandbox.name, 'SIGKILL');
    assert.equal((await sandbox.exited).exitCode, 7);
    await assertGone(sandbox.name);
  });

  it('killed while the sandbox starts', async (t) => {
    const name = uniqueName();
    // It prints nothing: a machine that is restored may run it before the signal comes.
    const running = start(t, name, ['sh', '-c', 'read line; exit 7']);
    while (supervisorOf(name) === undefined) {
      assert.equal(running.child.exitCode, null, running.stderr());
      await sleep(1);
    }
    signalSupervisor(name, 'SIGKILL');
    running.child.stdin?.write('\n');
    const result = await running.result;
    // A snapshot that was not loaded is a reason to boot, with another supervisor. A daemon's machine needs none.
    if (result.code !== 7) assertFailure(result, /supervisor/);
    await assertGone(name);
  });
}

for (const way of [embedded, system, lxc]) {
  describe(`the supervisor of root's sandbox over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    testsOf(way.uri, () => way, way === lxc);
  });
}

describe("the supervisor of an ordinary user's sandbox", { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());
  for (const uri of ['qemu:///embed', 'qemu:///session']) {
    describe(`over ${uri}`, { concurrency: 2 }, () => {
      testsOf(uri, () => ({ uri, where: user.where, options: user.options }), true);
    });
  }
});

describe('a supervisor that is killed at a terminal', { skip: embedded.skip }, () => {
  it('leaves the settings of the terminal as they were', async (t) => {
    const name = uniqueName();
    const terminal = new AtTerminal(['-c', embedded.uri, '-n', name, '--', ...WAITING], SIZE);
    t.after(() => terminal.close());
    await terminal.until(/running/);
    assert.notEqual(terminal.settings(), terminal.before);
    signalSupervisor(name, 'SIGKILL');
    assert.deepEqual(await terminal.exited(), { code: 125, signal: null });
    assert.equal(terminal.settings(), terminal.before);
    await assertNothingLeft(name);
  });
});
