/** LIBVIRT_SANDBOX_INIT_DEBUG=break:STEP: the start pauses before a step and offers a shell. */

import assert from 'node:assert/strict';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const SIZE = { rows: 33, columns: 101 };
const CTRL_RIGHT_BRACKET = '\x1d';
/** A terminal type for which bash writes plain text only. */
const stopBefore = (step: string) => ({ LIBVIRT_SANDBOX_INIT_DEBUG: `break:${step}`, TERM: 'dumb' });
/** busybox asks the terminal for its cursor position. */
const promptOf = (name: string) => new RegExp(`\\[${name}\\] / # (.\\[6n)?$`);

function atTerminal(t: TestContext, step: string) {
  const name = uniqueName();
  const command = ['sh', '-c', 'echo application-ran; read word; echo "it read $word"; exit 3'];
  const terminal = new AtTerminal(['-c', embedded.uri, '-n', name, '--', ...command], SIZE, {
    env: stopBefore(step),
  });
  t.after(() => terminal.close());
  return { name, terminal };
}

/** The application has the terminal and the keyboard. */
async function assertRuns(terminal: AtTerminal): Promise<void> {
  await terminal.until(/application-ran/);
  terminal.type('a-word\n');
  await terminal.until(/it read a-word/);
  assert.deepEqual(await terminal.exited(), { code: 3, signal: null });
}

/** Starts without a terminal, and waits until the start is paused. */
async function standing(t: TestContext, step: string, ...options: string[]) {
  const name = uniqueName();
  const running = startSandbox(['-c', embedded.uri, '-n', name, ...options, '--', 'echo', 'ran'], {
    env: stopBefore(step),
  });
  t.after(async () => {
    running.child.kill('SIGTERM');
    await running.result.catch(() => {});
  });
  await running.untilError(new RegExp(`stopped before step ${step}; attach with: virt-sandbox --attach ${name}\n`));
  return { name, running };
}

describe('a breakpoint at a terminal', { skip: embedded.skip, concurrency: 2 }, () => {
  it('before the root has busybox and a terminal', async (t) => {
    const { name, terminal } = atTerminal(t, 'root');
    await terminal.until(/stopped before step root; exit lets the start go on/);
    await terminal.until(promptOf(name));
    terminal.type('ls -d /newroot/* /newroot; cat /proc/1/comm; stty size\n');
    await terminal.until(/\/newroot\r?\ninit\r?\n33 101\r?\n/);
    terminal.type('exit\n');
    await assertRuns(terminal);
    await assertNothingLeft(name);
  });

  it('gives up the start when the shell exits with another status', async (t) => {
    const { name, terminal } = atTerminal(t, 'system');
    const settings = terminal.before;
    await terminal.until(promptOf(name));
    // The root is mounted, but not yet the mount that this step makes.
    terminal.type('ls /etc/passwd; ls -d /dev/pts; stty size\n');
    await terminal.until(/\/etc\/passwd\r?\n.*cannot access.*\r?\n33 101\r?\n/);
    terminal.type('exit 1\n');
    await terminal.until(/init: the start was given up at the breakpoint before step system, .*; .+/);
    assert.deepEqual(await terminal.exited(), { code: 125, signal: null });
    assert.doesNotMatch(terminal.text, /application-ran/);
    assert.equal(terminal.settings(), settings);
    await assertNothingLeft(name);
  });

  it('waits for the next shell after Ctrl+]', async (t) => {
    const { name, terminal } = atTerminal(t, 'spawn');
    await terminal.until(promptOf(name));
    terminal.type(CTRL_RIGHT_BRACKET);
    await terminal.until(/stopped before step spawn; attach with/);
    const { code } = await runSandbox(['--attach', name], { input: 'exit 0\n' });
    assert.equal(code, 0);
    await assertRuns(terminal);
  });
});

describe('a breakpoint without a terminal', { skip: embedded.skip, concurrency: 2 }, () => {
  it('continues when an attached shell exits with 0, but not when it was detached', async (t) => {
    const { name, running } = await standing(t, 'mount.1', '-m', 'ram:/mnt=16M', '-m', 'ram:/srv=16M');
    const terminal = new AtTerminal(['--attach', name], SIZE, { env: { TERM: 'dumb' } });
    t.after(() => terminal.close());
    await terminal.until(/exit lets its start go on, exit 1 gives it up/);
    await terminal.until(promptOf(name));
    terminal.type("cut -d' ' -f2 /proc/mounts | grep -cE '^/(mnt|srv)$'\n");
    await terminal.until(/\n1\r?\n/);
    terminal.type(CTRL_RIGHT_BRACKET);
    await terminal.until(/detached from .*, which waits on/);
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.equal(running.out(), '');
    assert.equal((await runSandbox(['--attach', name], { input: 'exit 0\n' })).code, 0);
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 0, out: 'ran\n' });
  });

  it('pauses before the network step or the includes step', async (t) => {
    const options = ['-N', 'dhcp', '-m', 'ram:/mnt=16M', '-i', '/mnt/hosts=/etc/hosts'];
    const seen = async (step: string) => {
      const { name, running } = await standing(t, step, ...options);
      // Before the root step, the programs are busybox's.
      const script = 'cat /sys/class/net/eth0/operstate; grep -c eth0 /proc/net/route; ls /mnt 2>/dev/null; exit 0\n';
      const { out } = await runSandbox(['--attach', name], { input: script });
      const { code, out: ran } = await running.result;
      assert.deepEqual({ code, ran }, { code: 0, ran: 'ran\n' });
      return out;
    };
    assert.equal(await seen('interfaces'), 'down\n0\n');
    assert.match(await seen('includes'), /^up\n[1-9]\n$/);
  });

  it('gives up the start when an attached shell exits with another status', async (t) => {
    const { name, running } = await standing(t, 'spawn', '-m', 'ram:/mnt=1M', '-i', '/mnt/hosts=/etc/hosts');
    // All steps before the application are done.
    const shell = await runSandbox(['--attach', name], { input: 'ls /mnt; exit 3\n' });
    assert.deepEqual([shell.code, shell.out], [3, 'hosts\n']);
    const { code, out, stderr } = await running.result;
    assert.deepEqual({ code, out }, { code: 125, out: '' });
    assert.match(stderr, /\nvirt-sandbox: init: the start was given up at the breakpoint before step spawn, .*; .+\n$/);
    await assertNothingLeft(name);
  });

  it('can be cancelled, and leaves nothing', async (t) => {
    const { name, running } = await standing(t, 'network');
    process.kill(running.pid, 'SIGINT');
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 130, out: '' });
    await assertNothingLeft(name);
  });

  it('names the steps in the error for an unknown one', async (t) => {
    const steps = async (...options: string[]) => {
      const args = ['-c', embedded.uri, '-m', 'ram:/mnt=1M', ...options, 'true'];
      const line = assertFailure(await runSandbox(args, { env: stopBefore('mount') }), /break:mount names no step/);
      return /one of (.*)$/.exec(line)?.[1];
    };
    // Only where the user that QEMU runs as cannot enter root's home.
    const home = (statSync(homedir()).mode & 0o001) === 0 ? 'home, ' : '';
    assert.equal(await steps(), `clock, root, system, ${home}mount.0, network, confine, spawn`);
    assert.match((await steps('--accel', 'tcg', '--vcpus', '2')) ?? '', /^clock, processors, root, /);
    const disk = join(scratchDirectory(t), 'disk');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    assert.equal(
      await steps('-N', 'dhcp', '--disk', `file:d=${disk}`, '-m', 'ram:/srv=1M', '-i', '/mnt/hosts=/etc/hosts'),
      `interfaces, clock, root, system, disks, ${home}mount.0, mount.1, network, confine, resolver, includes, spawn`,
    );
  });

  it('needs a static busybox before there is a root', async (t) => {
    const directory = scratchDirectory(t);
    const env = { ...stopBefore('root'), PATH: `${directory}:${process.env['PATH']}`, XDG_CACHE_HOME: directory };
    symlinkSync('/bin/cat', join(directory, 'busybox'));
    const result = await runSandbox(['-c', embedded.uri, 'true'], { env });
    assertFailure(result, /busybox needs libraries/, /busybox-static/);
  });

  it('does not change the image of a start without a breakpoint', async () => {
    const image = async (env = {}) => {
      const { out } = await runSandbox(['-c', embedded.uri, '--boot', 'cold', '--dry-run', 'true'], { env });
      return /^initrd: (.+)$/m.exec(out)?.[1];
    };
    const plain = await image();
    assert.equal(await image(stopBefore('system')), plain);
    assert.notEqual(await image(stopBefore('root')), plain);
    assert.equal(await image(), plain);
  });
});
