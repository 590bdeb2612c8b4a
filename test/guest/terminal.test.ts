/** An interactive shell at a real terminal. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { assertNothingLeft, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFollowsSize } from '../helpers/shells.js';

const SIZE = { rows: 33, columns: 101 };
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_Z = '\x1a';
const CTRL_RIGHT_BRACKET = '\x1d';

/** A shell whose prompt does not appear in any typed command line. */
const SHELL = ['sh', '-i'];
const PROMPT = /READY> $/;
/**
 * A command that does not end by itself. Its output differs from the typed line, and comes when the keys are its own;
 * it also prints a line when it is continued.
 * It starts no program meanwhile: dash cannot be stopped in vfork(2) while its child is stopped, and then its parent
 * does not see it stop.
 */
const IN_FRONT = `sh -c 'trap "echo GOES"" ON" CONT; sleep 1000 >/dev/null 2>&1 & echo IN"" FRONT; while :; do wait; done'\n`;

async function openShell(t: TestContext, way: Way, ...options: string[]) {
  const name = uniqueName();
  const terminal = new AtTerminal(
    ['-c', way.uri, '-n', name, '-e', 'PS1=READY> ', ...options, '--', ...SHELL],
    SIZE,
    way.options,
  );
  t.after(() => terminal.close());
  const settings = terminal.before;
  await terminal.until(PROMPT);
  /** Types a command, and waits for its output. */
  const ask = async (command: string): Promise<string> => {
    terminal.type(`${command}\n`);
    const [, output = ''] = await terminal.until(/\n([\s\S]*?)\r?\n?READY> $/);
    return output.replaceAll('\r', '').trimEnd();
  };
  return { name, terminal, settings, ask };
}

for (const way of [embedded, system, lxc]) {
  describe(`a shell at a terminal over ${way.uri}`, { skip: way.skip }, () => {
    it('has a controlling terminal whose size follows, and keys that send signals', async (t) => {
      const { name, terminal, settings, ask } = await openShell(t, way);
      assert.notEqual(terminal.settings(), settings, 'the local terminal is raw');

      assert.match(await ask('tty'), /^\/dev\/pts\/\d+$/);
      assert.equal(await ask('stty size'), '33 101');
      assert.equal(await ask('echo $TERM'), 'xterm-256color');
      assert.equal(await ask('echo through > /dev/tty'), 'through');
      assert.equal(await ask('echo error >&2; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all'), 'error\nall');

      await assertFollowsSize(terminal, ask);

      terminal.type(IN_FRONT);
      await terminal.until(/IN FRONT/);
      terminal.type(CTRL_C);
      await terminal.until(PROMPT);
      assert.equal(await ask('echo lives on'), 'lives on');

      terminal.type(IN_FRONT);
      await terminal.until(/IN FRONT/);
      terminal.type(CTRL_Z);
      await terminal.until(PROMPT);
      assert.match(await ask('jobs'), /(Stopped|Suspended).*GOES/);
      terminal.type('fg\n');
      await terminal.until(/GOES ON/);
      terminal.type(CTRL_C);
      await terminal.until(PROMPT);
      assert.equal(await ask('jobs'), '');

      terminal.type(CTRL_D);
      assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
      assert.equal(terminal.settings(), settings, 'the local terminal is as it was');
      await assertNothingLeft(name, way.where);
    });
  });
}

describe('at a terminal', { skip: embedded.skip, concurrency: 2 }, () => {
  it('a program gets its new size', async (t) => {
    // Not from an interactive shell: its commands are process groups of their own and would be told instead.
    const script = `trap 'echo RESIZED; stty size' WINCH; echo WAITING; while :; do sleep 0.2; done`;
    const terminal = new AtTerminal(['-c', embedded.uri, '--', 'sh', '-c', script], SIZE);
    t.after(() => terminal.close());
    await terminal.until(/WAITING/);
    terminal.resize({ rows: 24, columns: 81 });
    await terminal.until(/RESIZED\s+24 81/);
  });

  it('the exit status of the shell is passed on', async (t) => {
    const { terminal } = await openShell(t, embedded);
    terminal.type('exit 42\n');
    assert.deepEqual(await terminal.exited(), { code: 42, signal: null });
  });

  it('Ctrl+] leaves, whatever runs, and restores the terminal', async (t) => {
    const { name, terminal, settings } = await openShell(t, embedded);
    terminal.type(IN_FRONT);
    await terminal.until(/IN FRONT/);
    terminal.type(CTRL_RIGHT_BRACKET);
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.equal(terminal.settings(), settings);
    await assertNothingLeft(name);
  });

  it('a program’s bytes arrive unchanged', async (t) => {
    const script = `stty raw; printf 'BEGIN a\\nb\\r\\nc END'; sleep 1`;
    const terminal = new AtTerminal(['-c', embedded.uri, '--', 'sh', '-c', script], SIZE);
    t.after(() => terminal.close());
    const [, shown] = await terminal.until(/BEGIN([\s\S]*)END/);
    assert.equal(shown, ' a\nb\r\nc ');
  });

  it('keys that are not text arrive', async (t) => {
    const { terminal, ask } = await openShell(t, embedded);
    terminal.type('stty raw -echo; echo G""O; head -c 6 | od -An -tx1; stty sane\n');
    await terminal.until(/GO/);
    terminal.type('\x00\x03\x1c\xff\x7f');
    await terminal.until(/00 03 1c c3 bf 7f/);
    await terminal.until(PROMPT);
    assert.match(await ask('echo sane'), /sane/);
  });

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
    it(`the settings are restored when ${signal} ends the launcher`, async (t) => {
      const { name, terminal, settings } = await openShell(t, embedded);
      assert.notEqual(terminal.settings(), settings);
      terminal.child.kill(signal);
      const { code, signal: by } = await terminal.exited();
      if (signal === 'SIGKILL') assert.equal(by, 'SIGKILL');
      else assert.equal(code, signal === 'SIGTERM' ? 143 : 129);
      await assertNothingLeft(name);
      assert.equal(terminal.settings(), settings);
    });
  }

  it('the terminal stays cooked and untouched while the guest boots', async (t) => {
    const name = uniqueName();
    // Cold: a machine that is restored may have its application, and a raw terminal, before anybody looks.
    const command = ['--boot', 'cold', '--', 'sleep', '1000'];
    const terminal = new AtTerminal(['-c', embedded.uri, '-n', name, ...command], SIZE);
    t.after(() => terminal.close());
    const settings = terminal.before;
    while (qemuOf(name) === undefined) await sleep(20);
    assert.equal(terminal.settings(), settings);
    // Ctrl+C cancels the start.
    terminal.type(CTRL_C);
    assert.deepEqual(await terminal.exited(), { code: 130, signal: null });
    await assertNothingLeft(name);
  });
});
