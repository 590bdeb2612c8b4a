/** Sandboxes without a command, and one command without more: `Sandbox.create` and `run`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, Sandbox } from '../../src/index.js';
import { embedded, system, type Way } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';

const ways: readonly Way[] = [embedded, system];

for (const { uri, skip, where } of ways) {
  describe(`over ${uri}`, { skip }, () => {
    it('a sandbox without a command lives until it is stopped, and takes texts for options', async () => {
      const name = uniqueName();
      const sandbox = await Sandbox.create({
        name,
        connect: uri,
        memory: '600M',
        mounts: [
          'ram:/srv=1M',
          { type: 'host-bind', target: '/mnt', source: '/etc', readOnly: true },
          { type: 'ram', target: '/opt', usage: 1 << 20 },
          { type: 'guest-bind', target: '/media', source: '/mnt/apt' },
        ],
        environment: { A: 'b' },
        bootTimeout: '90s',
      });
      const { stdout } = await sandbox.run('echo $A; stat -f -c %T /srv /opt; ls -d /mnt/passwd /media/*.d; cat');
      assert.match(stdout, /^b\ntmpfs\ntmpfs\n\/media\/[\s\S]*\n\/mnt\/passwd\n$/);
      assert.equal(await Promise.race([sandbox.exited, Promise.resolve('lives')]), 'lives');
      for await (const chunk of sandbox.stdout) assert.fail(String(chunk));
      // What it leaves running goes on from one command to the next.
      await sandbox.run('sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/left');
      assert.equal((await sandbox.run('kill -0 $(cat /tmp/left)')).exitCode, 0);
      await sandbox.stop();
      assert.deepEqual(await sandbox.exited, { code: 0, signal: undefined, exitCode: 0, timedOut: false });
      await assert.rejects(sandbox.run('true'), { code: 'process-lost' });
      await assertNothingLeft(name, where);
    });

    it('one command is one call', async () => {
      const name = uniqueName();
      const begun = performance.now();
      const result = await run('cat; echo err >&2; exit 3', { name, connect: uri, input: 'in', vcpus: 1 });
      const took = performance.now() - begun;
      const { stdout, stderr, exitCode, timedOut } = result;
      assert.deepEqual(
        { stdout, stderr, exitCode, timedOut },
        { stdout: 'in', stderr: 'err\n', exitCode: 3, timedOut: false },
      );
      const parts = [result.prepareMilliseconds, result.startMilliseconds, result.milliseconds];
      assert.ok(
        parts.every((part) => part > 0),
        String(parts),
      );
      const sum = parts.reduce((total, part) => total + part, 0);
      assert.ok(sum <= took, `${sum} of ${took}`);
      await assertNothingLeft(name, where);
    });
  });
}

describe('a sandbox', { skip: embedded.skip }, () => {
  const connect = embedded.uri;

  it('says what its start and its commands took, one after the other', async () => {
    const begun = performance.now();
    await using sandbox = await Sandbox.create({ connect });
    const started = performance.now() - begun;
    const { prepareMilliseconds, startMilliseconds } = sandbox;
    assert.ok(prepareMilliseconds > 0 && startMilliseconds > 0);
    assert.ok(prepareMilliseconds + startMilliseconds <= started);
    const ordered = performance.now();
    const result = await sandbox.run('sleep 0.3');
    const took = performance.now() - ordered;
    // The clock of an emulated guest is not the host's.
    assert.ok(result.milliseconds > 200 && result.startMilliseconds > 0);
    assert.ok(result.startMilliseconds + result.milliseconds <= took);
  });

  it('gives all that a command wrote before its time was over, however little that was', async () => {
    await using sandbox = await Sandbox.create({ connect });
    const counting = 'i=0; while :; do i=$((i + 1)); echo $i; echo >>/tmp/count; done';
    const { timedOut, signal, stdout } = await sandbox.run(counting, { timeout: 300 });
    assert.deepEqual([timedOut, signal], [true, 'SIGKILL']);
    const { stdout: noted } = await sandbox.run('touch /tmp/count; wc -l </tmp/count', { reject: true });
    const lines = stdout.split('\n').slice(0, -1);
    assert.equal(stdout, lines.map((_, index) => `${index + 1}\n`).join(''));
    assert.ok(lines.length >= Number(noted), `${lines.length} of ${noted}`);
  });

  it('whose machine ends says so in words that are true without a command', async () => {
    await using sandbox = await Sandbox.create({ connect, privileged: true });
    await assert.rejects(sandbox.run('echo o >/proc/sysrq-trigger; while :; do :; done'), { code: 'process-lost' });
    await assert.rejects(sandbox.exited, {
      code: 'guest-gone',
      message: 'the guest ended before the sandbox was stopped',
    });
  });

  it('with a command says whether its time was over', async () => {
    const late = await Sandbox.start({ command: ['sleep', '1000'] }, { connect, timeLimit: '0.5s' });
    const quick = await Sandbox.start({ command: ['true'] }, { connect, timeLimit: '1h' });
    assert.deepEqual(await late.exited, { code: undefined, signal: 'SIGKILL', exitCode: 137, timedOut: true });
    assert.deepEqual(await quick.exited, { code: 0, signal: undefined, exitCode: 0, timedOut: false });
  });
});

describe('one command', { skip: embedded.skip }, () => {
  const connect = embedded.uri;

  it('is killed when its time is over', async () => {
    const { timedOut, signal } = await run('sleep 1000', { connect, timeout: 100 });
    assert.deepEqual([timedOut, signal], [true, 'SIGKILL']);
  });

  it('gives what was written before it is killed', async () => {
    const { signal, stdout } = await run('echo x; kill -KILL $$', { connect });
    assert.deepEqual([signal, stdout], ['SIGKILL', 'x\n']);
  });

  it('is over then although what it has started writes on', async () => {
    const loud = 'setsid sh -c "while :; do echo x; sleep 0.2; done" & sleep 1000';
    const { timedOut, signal } = await run(loud, { connect, timeout: 1000 });
    assert.deepEqual([timedOut, signal], [true, 'SIGKILL']);
  });

  it('ends with a signal of the caller', async () => {
    const name = uniqueName();
    const signal = AbortSignal.timeout(1500);
    await assert.rejects(run('sleep 1000', { name, connect, signal }), { name: 'TimeoutError' });
    await assertNothingLeft(name, embedded.where);
  });

  it('may be an error', async () => {
    const failing = run('echo why >&2; exit 3', { connect, reject: true });
    await assert.rejects(failing, { code: 'run-failed', exitCode: 3, message: /exit code 3; it said: why$/ });
    await assert.rejects(run('yes', { connect, maxBuffer: 100_000 }), { code: 'output-too-large' });
    await assert.rejects(run(['/no/such'], { connect }), { code: 'command-not-found', exitCode: 127 });
  });
});

describe('options that cannot be', () => {
  const WRONG: readonly (readonly [options: object, code: string, line: RegExp])[] = [
    [{ memory: 'much' }, 'size-invalid', /^arguments: memory cannot be "much"/],
    [{ memory: true }, 'config-value-invalid', /"memory" of the sandbox is true; let it be a number$/],
    [{ mounts: [3] }, 'config-value-invalid', /"mounts\.0" of the sandbox is 3/],
    [{ mounts: 'ram:/x=1M' }, 'config-value-invalid', /"mounts" of the sandbox is "ram:\/x=1M"; let it be an array/],
    [{ bootTimeout: '3 days' }, 'duration-invalid', /give a time as 500ms, 5s, 2m or 1h, and no longer than 24h$/],
    [{ environment: { A: 1 } }, 'config-value-invalid', /"environment\.0\.value"/],
    [{ command: ['true'] }, 'config-key-unknown', /has the unknown key "command"; leave it out; there are name, /],
    [{ trace: {} }, 'config-key-unknown', /"trace"; leave it out; there are (?!.*breakpoint)/],
    [
      { mounts: [{ type: 'ram', target: '/x' }] },
      'config-value-invalid',
      /"mounts\.0\.usage" of the sandbox is missing/,
    ],
    [{ onProgress: 1 }, 'config-value-invalid', /"onProgress" of the options of the start is 1/],
  ];
  for (const [options, code, line] of WRONG) {
    it(JSON.stringify(options), async () => {
      await assert.rejects(Sandbox.create(options), { code, line });
    });
  }
});
