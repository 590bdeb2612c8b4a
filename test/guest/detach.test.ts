/** Sandboxes that outlive who has started them: --detach. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type ConnectedSandbox, connectSandbox } from '../../src/control/connect.js';
import { runningSandboxes } from '../../src/control/list.js';
import { readLog } from '../../src/control/read-log.js';
import { findRunning } from '../../src/sandbox/state/running.js';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { endDetached } from '../helpers/ctl.js';
import { assertNothingLeft, processesWith, ROOT_STATE, uniqueName, type WhereLeft } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, PROGRAM, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** Ends with the status when somebody makes a file. */
const awaitFile = (status: string) => ['sh', '-c', `until [ -e /tmp/go ]; do sleep 0.1; done; ${status}`];

/** Waits until something is so; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(20);
}

const lives = (pid: number) => existsSync(`/proc/${pid}`);

async function assertGone(pid: number, name: string, where: WhereLeft): Promise<void> {
  await until(() => !lives(pid));
  await assertNothingLeft(name, where);
}

/** Starts a detached sandbox, and connects to it. */
async function detached(t: TestContext, way: Way, ...words: readonly string[]): Promise<ConnectedSandbox> {
  const name = uniqueName();
  const started = await runSandbox(['-c', way.uri, '--detach', '-n', name, ...words], way.options);
  assert.deepEqual([started.code, started.out, started.stderr], [0, `${name}\n`, '']);
  const sandbox = await connectSandbox(name);
  // By its name: the test may have closed this connection.
  t.after(async () => {
    await sandbox.close();
    await endDetached(name, way.options);
  });
  return sandbox;
}

/** Starts one whose driver starts no machine, so that the start lasts. */
function starting(t: TestContext) {
  const directory = scratchDirectory(t);
  const script = `#!/bin/sh\n: >'${directory}/started'\nexec sleep 1000\n`;
  writeFileSync(join(directory, 'virt-qemu-run'), script, { mode: 0o755 });
  const name = uniqueName();
  const args = ['-c', embedded.uri, '--detach', '-n', name, '--', 'true'];
  const running = startSandbox(args, { env: { PATH: `${directory}:${process.env['PATH']}` } });
  return { name, running, isStarted: () => existsSync(join(directory, 'started')) };
}

async function logOf(name: string): Promise<string> {
  let text = '';
  for await (const { stream, bytes } of readLog(await findRunning(name))) text += `${stream} ${bytes}`;
  return text;
}

for (const way of [embedded, system, lxc]) {
  const { uri, skip, where } = way;
  describe(`over ${uri}`, { skip }, () => {
    it('lives on, runs what it is told, has a log, and leaves nothing', async (t) => {
      const app = ['sh', '-c', 'cat; echo out; echo err >&2; exec sleep 1000'];
      await using sandbox = await detached(t, way, '-e', 'A=b', '--', ...app);
      const { name, record } = sandbox;
      assert.deepEqual(record.command, app);
      assert.ok(record.detached);
      const listed = (await runningSandboxes()).find((one) => one.name === name);
      assert.deepEqual(listed?.record, record);
      const many = await Promise.all(Array.from({ length: 5 }, (_, index) => sandbox.run(`echo $A ${index}`)));
      assert.deepEqual(
        many.map(({ stdout }) => stdout),
        Array.from({ length: 5 }, (_, index) => `b ${index}\n`),
      );
      await until(() => statSync(join(ROOT_STATE, name, 'log')).size >= 2 * (34 + 'out\n'.length));
      assert.deepEqual((await logOf(name)).split('\n').sort(), ['', 'stderr err', 'stdout out']);
      const { memoryBytes, processes, cpuSeconds } = await sandbox.stats();
      assert.ok(memoryBytes > 1 << 18 && processes === 1 && cpuSeconds >= 0);
      const ending = sandbox.wait();
      await sandbox.stop();
      assert.deepEqual(await ending, { code: undefined, signal: 'SIGTERM', exitCode: 143, timedOut: false });
      await assert.rejects(sandbox.run('true'), { code: 'process-lost' });
      await assertGone(record.pid, name, where);
    });

    it('needs no command, and lives until it is stopped', async (t) => {
      await using sandbox = await detached(t, way);
      assert.equal((await sandbox.run('echo x')).stdout, 'x\n');
      await assert.rejects(sandbox.kill('SIGTERM'), { code: 'control-failed', message: /has no application/ });
      const ending = sandbox.wait();
      await sandbox.kill('SIGKILL');
      assert.equal((await ending).exitCode, 0);
      await assertGone(sandbox.record.pid, sandbox.name, where);
    });
  });
}

describe('a detached sandbox', { skip: embedded.skip }, () => {
  for (const [how, words, exitCode] of [
    ['its command', awaitFile('exit 7'), 7],
    ['a signal', awaitFile('kill -KILL $$'), 137],
    ['its time', ['sleep', '1000'], 124],
  ] as const) {
    it(`tells the status when ${how} ends it`, async (t) => {
      const limit = exitCode === 124 ? ['--timeout', '15s'] : [];
      await using sandbox = await detached(t, embedded, ...limit, '--', ...words);
      const ending = sandbox.wait();
      // With the file the sandbox ends, perhaps before it can be told that `touch` has.
      if (exitCode !== 124) await sandbox.spawn(['touch', '/tmp/go']);
      const ended = await ending;
      assert.deepEqual([ended.exitCode, ended.timedOut], [exitCode, exitCode === 124]);
      await assertGone(sandbox.record.pid, sandbox.name, embedded.where);
    });
  }

  it('fails to start as any other', async () => {
    const name = uniqueName();
    for (const words of [
      ['--', '/no/such'],
      ['--mount', 'x', '--', 'true'],
      ['--timeout', '5s'],
    ]) {
      const result = await runSandbox(['-c', embedded.uri, '-n', name, '--detach', ...words]);
      const attached = await runSandbox(['-c', embedded.uri, '-n', name, ...words]);
      if (words.includes('--')) assert.deepEqual([result.code, result.stderr], [attached.code, attached.stderr]);
      else assertFailure(result, /--timeout is for a command/);
      assert.equal(result.out, '');
      await assertNothingLeft(name);
    }
  });

  it('is beside others, and its name is its own', async (t) => {
    await using one = await detached(t, embedded);
    await using other = await detached(t, embedded);
    await one.run('echo 1 >/tmp/which');
    assert.equal((await other.run('cat /tmp/which')).exitCode, 1);
    const again = await runSandbox(['-c', embedded.uri, '--detach', '-n', one.name]);
    assertFailure(again, new RegExp(`the name ${one.name} is in use`));
    await one.stop();
    assert.equal((await other.run('echo there')).stdout, 'there\n');
  });

  it('outlives the shell that has started it, and its terminal', async (t) => {
    const name = uniqueName();
    const command = `'${PROGRAM}' -c ${embedded.uri} --detach -n ${name} -- sleep 1000; echo exited; exec cat`;
    const terminal = new AtTerminal(['-c', command], { rows: 24, columns: 80 }, { program: '/bin/bash' });
    // A caller that is ended before it has exited cancels the start, even behind the name.
    await terminal.until(/^exited\r?$/m);
    terminal.hangUp();
    await terminal.exited();
    await using sandbox = await connectSandbox(name);
    t.after(() => endDetached(sandbox.name));
    assert.equal((await sandbox.run('echo there')).stdout, 'there\n');
    await sandbox.stop({ timeout: 0 });
    await assertGone(sandbox.record.pid, name, embedded.where);
  });

  it('is not there if its caller is killed before it runs', async (t) => {
    for (const isEarly of [true, false]) {
      const { name, running, isStarted } = starting(t);
      if (!isEarly) await until(isStarted);
      running.child.kill('SIGKILL');
      assert.equal((await running.result).signal, 'SIGKILL');
      await assertNothingLeft(name);
    }
  });

  it('is not there if its caller is interrupted, which waits for that', async (t) => {
    const { name, running, isStarted } = starting(t);
    await until(isStarted);
    running.child.kill('SIGINT');
    assert.equal((await running.result).code, 130);
    assert.ok(!existsSync(join(ROOT_STATE, name)));
    await assertNothingLeft(name);
  });

  it('ends with its holder, however that ends', async (t) => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await using sandbox = await detached(t, embedded, '--', 'sleep', '1000');
      const { name, record } = sandbox;
      const process = await sandbox.spawn(['sleep', '1000']);
      globalThis.process.kill(record.pid, signal);
      await assert.rejects(process.exited, { code: 'process-lost' });
      await assertGone(record.pid, name, embedded.where);
    }
  });

  it('has the reason in its log if its machine fails', async (t) => {
    await using sandbox = await detached(t, embedded, '--', 'sh', '-c', 'echo out; exec sleep 1000');
    const { name, record } = sandbox;
    let seen = '';
    const following = (async () => {
      for await (const { stream, bytes } of readLog(await findRunning(name), { follow: true }))
        seen += `${stream} ${bytes}`;
    })();
    await until(() => seen !== '');
    const ending = assert.rejects(sandbox.wait(), { code: 'guest-gone' });
    const qemu = processesWith(`guest=${name},`).map((line) => Number.parseInt(line, 10));
    assert.equal(qemu.length, 1);
    for (const pid of qemu) process.kill(pid, 'SIGKILL');
    await ending;
    await following;
    assert.match(seen, /^stdout out\nstderr virt-sandbox: application: the guest ended .*\n/);
    await assertGone(record.pid, name, embedded.where);
  });

  it('keeps no pipe of who has started it', async (t) => {
    const name = uniqueName();
    const script = 'x=$(exec 20>&1; exec "$0" "$@"); echo "$x"';
    const words = ['-c', embedded.uri, '--detach', '-n', name];
    const { stdout } = await promisify(execFile)('bash', ['-c', script, PROGRAM, ...words], { timeout: 60_000 });
    assert.equal(stdout, `${name}\n`);
    await using sandbox = await connectSandbox(name);
    t.after(() => endDetached(sandbox.name));
    await sandbox.stop({ timeout: 0 });
    await assertGone(sandbox.record.pid, name, embedded.where);
  });

  it('does not end by SIGHUP', async (t) => {
    await using sandbox = await detached(t, embedded);
    process.kill(sandbox.record.pid, 'SIGHUP');
    assert.equal((await sandbox.run('echo there')).stdout, 'there\n');
  });

  it('keeps the end of 20 MiB of output', async (t) => {
    const line =
      'sh -c "yes 0123456789012345678901234567890123456789012345678901234567890123456789" | head -c 20971520';
    await using sandbox = await detached(t, embedded, '--', 'sh', '-c', `${line}; echo; echo end; exec sleep 1000`);
    const directory = join(ROOT_STATE, sandbox.name);
    const sizes = () =>
      ['log', 'log.1'].map((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0);
    let last = '';
    for await (const { bytes } of readLog(await findRunning(sandbox.name), { follow: true })) {
      // They come in pieces, which may end anywhere.
      last = `${last}${bytes}`.slice(-'end\n'.length);
      if (last === 'end\n') break;
    }
    assert.equal(last, 'end\n');
    for (const size of sizes()) assert.ok(size > 0 && size <= 8 << 20, String(size));
    assert.match(await logOf(sandbox.name), /\nstdout end\n$/);
  });

  it('ends what was started over a connection when that ends, unless it is to be kept', async (t) => {
    await using sandbox = await detached(t, embedded);
    const pids = [];
    for (const keep of [false, true]) {
      const other = await connectSandbox(sandbox.name, { keep });
      pids.push((await other.spawn('trap "" HUP; while :; do sleep 0.1; done')).pid);
      await other.close();
    }
    const [ended, kept] = pids;
    await sandbox.run(`while kill -0 ${ended}; do sleep 0.1; done`, { reject: true });
    await sandbox.run(`kill -0 ${kept}`, { reject: true });
  });

  it('takes at most 60 MB beside its QEMU', async (t) => {
    await using sandbox = await detached(t, embedded);
    const { holderBytes } = await sandbox.stats();
    assert.ok(holderBytes <= 60e6, `${holderBytes} bytes`);
  });
});
