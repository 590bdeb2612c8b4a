/** virt-sandbox-ctl exec: streams, terminals, signals, many at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded } from '../helpers/connections.js';
import { ctl, ctlAtTerminal, detached, endDetached, said, startCtl, startDetached } from '../helpers/ctl.js';
import { uniqueName } from '../helpers/leftovers.js';
import { IDLE } from '../helpers/programs.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertRun, environment, REPOSITORY } from '../helpers/run.js';

const SIZE = { rows: 33, columns: 101 };
const CTL = `${REPOSITORY}bin/virt-sandbox-ctl`;

describe('exec', { skip: embedded.skip }, () => {
  const name = uniqueName();
  before(() => startDetached(embedded.uri, { name }));
  after(() => endDetached(name));

  /** Waits until no process of the sandbox has that command line. */
  const gone = async (words: string) => {
    for (let tries = 0; tries < 100; tries += 1) {
      const { code } = await ctl(['exec', name, 'pgrep', '-fx', words]);
      if (code === 1) return;
      await sleep(100);
    }
    assert.fail(`${words} runs on`);
  };

  it('passes 64 MiB both ways', async () => {
    const input = randomBytes(64 << 20);
    const { code, stdout, stderr } = await ctl(['exec', '-i', name, 'cat'], { input });
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.deepEqual([code, stderr, digest(stdout)], [0, '', digest(input)]);
  });

  it('runs 50 at once', async () => {
    const all = Array.from({ length: 50 }, async (_, at) => {
      const input = `${at},`.repeat(1000);
      const { code, out, stderr } = await ctl(['exec', '-i', name, 'sh', '-c', `cat; echo ${at} >&2; exit ${at}`], {
        input,
      });
      assert.deepEqual([code, out === input, stderr], [at, true, `${at}\n`]);
    });
    await Promise.all(all);
  });

  it('passes signals on, and the command may take its time', async () => {
    const traps = 'trap "echo int" INT; trap "echo hup" HUP; trap "echo term; exit 5" TERM';
    const script = `${traps}; echo ready; ${IDLE}`;
    const running = startCtl(['exec', name, 'sh', '-c', script]);
    await running.until(/ready/);
    for (const [signal, says] of [
      ['SIGINT', /int/],
      ['SIGHUP', /hup/],
      ['SIGTERM', /term/],
    ] as const) {
      running.child.kill(signal);
      await running.until(says);
    }
    assert.equal((await running.result).code, 5);
  });

  it('ends one of many, and no other', async () => {
    const [kept, killed] = [
      startCtl(['exec', '-i', name, 'cat'], { input: 'open' }),
      startCtl(['exec', name, 'sleep', '4711']),
    ];
    killed.child.kill('SIGTERM');
    // It is not said that it runs already: then it ends by the signal itself.
    const { code, signal } = await killed.result;
    assert.ok(code === 143 || signal === 'SIGTERM', `${code} ${signal}`);
    kept.child.stdin?.end('kept');
    assertRun(await kept.result, 0, 'kept');
    await gone('sleep 4711');
  });

  it('leaves nothing in the sandbox when it is killed', async () => {
    const running = startCtl(['exec', name, 'sh', '-c', 'echo ready; exec sleep 4712']);
    await running.until(/ready/);
    running.child.kill('SIGKILL');
    await running.result;
    await gone('sleep 4712');
  });

  it('ends when nobody reads it', async () => {
    const script = `${CTL} exec ${name} yes exec-yes | head -n 1; echo \${PIPESTATUS[0]}`;
    const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], env: environment() });
    let out = '';
    for await (const chunk of child.stdout) out += String(chunk);
    assert.equal(out, 'exec-yes\n141\n');
    await gone('yes exec-yes');
  });

  it('has a terminal that follows the local one, and gives that back', async (t) => {
    const terminal = ctlAtTerminal(t, ['exec', '-it', name, 'sh'], SIZE);
    terminal.type('stty size; echo $TERM; tty; echo E""ND\n');
    await terminal.until(/33 101\r\ndumb\r\n\/dev\/(pts\/)?\d+\r\nEND\r\n/);
    terminal.resize({ rows: 50, columns: 132 });
    terminal.type('while [ "$(stty size)" != "50 132" ]; do sleep 0.1; done; echo res""ized\n');
    await terminal.until(/resized\r\n/);
    terminal.type('sleep 4713\n');
    await sleep(500);
    terminal.type('\x03');
    terminal.type('echo $?-in""terrupted\n');
    await terminal.until(/130-interrupted\r\n/);
    terminal.type('exit 42\n');
    assert.deepEqual(await terminal.exited(), { code: 42, signal: null });
    assert.equal(terminal.settings(), terminal.before);
  });

  it('leaves a terminal by Ctrl+], and the command ends', async (t) => {
    const terminal = ctlAtTerminal(t, ['exec', '-it', name, 'sh', '-c', 'echo ready; exec sleep 4714'], SIZE);
    await terminal.until(/ready/);
    terminal.type('\x1d');
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.equal(terminal.settings(), terminal.before);
    await gone('sleep 4714');
  });

  it('gives a terminal back when it is killed by a signal', async (t) => {
    const terminal = ctlAtTerminal(t, ['exec', '-it', name, 'sh', '-c', 'echo ready; exec sleep 4715'], SIZE);
    await terminal.until(/ready/);
    terminal.child.kill('SIGTERM');
    assert.deepEqual(await terminal.exited(), { code: 143, signal: null });
    assert.equal(terminal.settings(), terminal.before);
  });

  it('ends its command when the terminal hangs up', async (t) => {
    const terminal = ctlAtTerminal(t, ['exec', '-it', name, 'sh', '-c', 'echo ready; exec sleep 4716'], SIZE);
    await terminal.until(/ready/);
    terminal.hangUp();
    const { code, signal } = await terminal.exited();
    assert.ok(code === 129 || signal === 'SIGHUP', `${code} ${signal}`);
    await gone('sleep 4716');
  });

  it('gives a terminal without an input', async () => {
    assertRun(await ctl(['exec', '-t', name, 'sh', '-c', 'tty >/dev/null && stty size']), 0, '24 80\r\n');
  });

  it('works when the terminal that has started the sandbox is gone', async (t) => {
    const other = uniqueName();
    const terminal = new AtTerminal(['--detach', '-c', embedded.uri, '-n', other], SIZE);
    t.after(() => ctl(['stop', '-i', '-t', '0', other]));
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    terminal.hangUp();
    assert.equal(await said(['exec', other, 'echo', 'lives']), 'lives\n');
  });

  it('finds names with odd letters', async (t) => {
    for (const odd of [`${name} ä:b'"`, `-${name}`]) {
      await detached(t, embedded.uri, { name: odd });
      assert.equal(
        await said(['exec', '--', odd, 'hostname']),
        await said(['exec', '--', odd, 'cat', '/proc/sys/kernel/hostname']),
      );
      assert.equal(await said(['ps', '-q', '--filter', `name=^${odd}$`]), `${odd}\n`);
      assert.equal(await said(['stop', '--time=0', '--', odd]), `${odd}\n`);
    }
  });
});

describe('names', () => {
  it('of which no sandbox runs are told one by one, and the others are done', { skip: embedded.skip }, async (t) => {
    const name = await detached(t, embedded.uri);
    const { code, out, stderr } = await ctl(['stop', 'no-such-a', name, 'no-such-b', name]);
    assert.deepEqual([code, out], [125, `${name}\n`]);
    assert.match(stderr, /^virt-sandbox-ctl: application: no sandbox called "no-such-a" runs; .*\n.*"no-such-b".*\n$/);
    assertRun(await ctl(['stop', '--ignore', name, 'no-such-a']), 0, '');
    assertRun(await ctl(['wait', '--ignore', name]), 0, '');
  });

  it('that cannot be', async () => {
    for (const name of ['', '.', '..', 'a/../b', '/etc', 'nobody/', 'no-such-user/x']) {
      const { code, out, stderr } = await ctl(['exec', '--', name, 'true']);
      assert.deepEqual([code, out], [125, ''], stderr);
      assert.match(stderr, /^virt-sandbox-ctl: [a-z]+: [^;]+; .+\n$/);
    }
  });
});
