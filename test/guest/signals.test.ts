/** Signals to the launcher: passed on to the command; whatever ends the launcher, nothing is left. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { IDLE } from '../helpers/programs.js';
import { startSandbox } from '../helpers/run.js';

/** Prints a line when it runs, and does not end by itself. */
const WAITING = ['sh', '-c', 'echo running; exec sleep 1000'];
/** Prints the signals that it gets, and ignores them. */
const STUBBORN = `for s in HUP INT QUIT TERM USR1 USR2; do trap "echo got $s" $s; done; echo running; ${IDLE}`;

/** How long a command is stopped. The test measures this pause; it waits for nothing else. */
const STOPPED_MS = 1500;

const STATUS = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129, SIGKILL: undefined } as const;

for (const way of [embedded, system]) {
  describe(`the end of the launcher leaves nothing: ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    for (const [signal, status] of Object.entries(STATUS) as [NodeJS.Signals, number | undefined][]) {
      it(`${signal} while the command runs`, async () => {
        const name = uniqueName();
        const running = startSandbox(['-c', way.uri, '-n', name, '--', ...WAITING], { input: 'open' });
        await running.until(/running/);
        assert.notEqual(qemuOf(name), undefined);
        process.kill(running.pid, signal);
        const result = await running.result;
        if (status === undefined) assert.equal(result.signal, 'SIGKILL');
        else assert.equal(result.code, status, result.stderr);
        await assertNothingLeft(name, status === undefined ? exceptLogs(way.where) : way.where);
      });

      it(`${signal} while the guest boots`, async () => {
        const name = uniqueName();
        // Cold: a machine that is restored may run its command before the signal comes.
        const args = ['-c', way.uri, '-n', name, '--boot', 'cold', '--', ...WAITING];
        const running = startSandbox(args, { input: 'open' });
        for (let tries = 0; tries < 600 && qemuOf(name) === undefined; tries += 1) await sleep(50);
        assert.notEqual(qemuOf(name), undefined, 'QEMU was started');
        process.kill(running.pid, signal);
        const result = await running.result;
        if (status === undefined) assert.equal(result.signal, 'SIGKILL');
        else assert.equal(result.code, status, result.stderr);
        assert.equal(result.out, '');
        await assertNothingLeft(name, exceptLogs(way.where));
      });
    }
  });
}

describe('signals', { skip: embedded.skip, concurrency: 2 }, () => {
  const start = async (script: string) => {
    const name = uniqueName();
    const running = startSandbox(['-c', embedded.uri, '-n', name, '--', 'sh', '-c', script], { input: 'open' });
    await running.until(/running/);
    return { name, running };
  };

  it('are passed on to the command', async () => {
    const { name, running } = await start(STUBBORN);
    for (const signal of ['INT', 'QUIT', 'USR1', 'USR2', 'INT']) {
      process.kill(running.pid, `SIG${signal}`);
      await running.until(new RegExp(`got ${signal}\\n$`));
    }
    process.kill(running.pid, 'SIGKILL');
    await running.result;
    await assertNothingLeft(name);
  });

  it('SIGTERM lets the command end by itself, with its own status', async () => {
    const { running } = await start(`trap "echo tidying; exit 3" TERM; echo running; ${IDLE}`);
    process.kill(running.pid, 'SIGTERM');
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 3, out: 'running\ntidying\n' });
  });

  it('SIGTERM ends a command that ignores it, after a while', async () => {
    const { name, running } = await start(STUBBORN);
    const before = Date.now();
    process.kill(running.pid, 'SIGTERM');
    const { code, out } = await running.result;
    assert.equal(code, 143);
    assert.match(out, /got TERM/);
    assert.ok(Date.now() - before < 20_000);
    await assertNothingLeft(name);
  });

  it('SIGTSTP and SIGCONT stop and continue the command', async () => {
    const { running } = await start('echo running; while :; do cut -d" " -f1 /proc/uptime; sleep 0.1; done');
    await running.until(/\d\n/);
    process.kill(running.pid, 'SIGTSTP');
    // The launcher stops itself when the command has been stopped.
    while (stateOf(running.pid) !== 'T') await sleep(5);
    const lines = running.out().split('\n').length;
    await sleep(STOPPED_MS);
    process.kill(running.pid, 'SIGCONT');
    // Some lines may have been on their way when it was stopped.
    await running.until(new RegExp(`^(?:.*\\n){${lines + 10}}`));
    const times = running.out().split('\n').slice(1, -1).map(Number);
    const longest = Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? 0)));
    assert.ok(longest * 1000 >= STOPPED_MS * 0.9, `by the guest's clock it was silent for ${longest} s`);
    process.kill(running.pid, 'SIGTERM');
    assert.equal((await running.result).code, 143);
  });

  it('a killed QEMU is an error of the sandbox, and leaves nothing', async () => {
    const { name, running } = await start('echo running; exec sleep 1000');
    process.kill(qemuOf(name) ?? 0, 'SIGKILL');
    const { code, stderr } = await running.result;
    assert.equal(code, 125, stderr);
    assert.match(stderr, /^virt-sandbox: application: the guest ended while the application ran.*; .+\n/);
    await assertNothingLeft(name);
  });
});

/** The state of a process, see proc_pid_stat(5). */
function stateOf(pid: number): string | undefined {
  return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
}
