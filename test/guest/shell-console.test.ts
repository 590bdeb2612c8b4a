/** The serial line of `--shell`, for `virsh console`. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { canMakeTerminals } from '../../src/domain/shell.js';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { runSandbox } from '../helpers/run.js';
import { startWithShell } from '../helpers/shells.js';

const NO_CONSOLE = /^virt-sandbox: shell: for --attach, and not for virsh console, because (.*)$/m;

const SIZE = { rows: 33, columns: 101 };
const CTRL_C = '\x03';
const CTRL_RIGHT_BRACKET = '\x1d';
/**
 * Ends when the init reads the line, which it does only to wait for Enter: before that it waits for the shell, and opens
 * the line anew. The number of read(2) is 0: proc_pid_syscall(5).
 */
const READS_LINE = `pid=$(pgrep -f '^/proc/self/exe --terminal /dev/ttyS0') || exit 1
until read -r call rest </proc/$pid/syscall && [ "$call" = 0 ]; do sleep 0.05; done
exit 0
`;

const unlessConsole = canMakeTerminals('system') ? false : 'the user whom QEMU runs as may not open /dev/ptmx here';

describe('virsh console', () => {
  it('is a root shell that a user can work in, leave and return to', {
    skip: system.skip || unlessConsole,
  }, async (t) => {
    const { name, running } = await startWithShell(t, system.uri, '-S', 'nobody', '--shell');
    const prompt = new RegExp(`\\[${name}\\] / # `);
    const console = async () => {
      const terminal = new AtTerminal(['-c', system.uri, 'console', name], SIZE, { program: 'virsh' });
      t.after(() => terminal.close());
      const settings = terminal.before;
      await terminal.until(/Escape character is/);
      // virsh discards input until it owns the keyboard.
      while (terminal.settings() === settings) await sleep(20);
      return terminal;
    };
    const leave = async (terminal: AtTerminal) => {
      terminal.type(CTRL_RIGHT_BRACKET);
      assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    };

    const terminal = await console();
    terminal.type('\r');
    await terminal.until(new RegExp(`Root shell of the sandbox ${name}\\. Press Enter again`));
    await terminal.until(prompt);
    terminal.type('echo I""AM $(id -u) $(tty) $(stty size) $(ps -eo user,args | grep -c "^nobody *ca[t]$")\r');
    await terminal.until(/IAM 0 \/dev\/ttyS0 24 80 1\r?\n/);
    await terminal.until(prompt);
    // The shell controls the terminal.
    terminal.type(`sh -c 'echo WAIT""ING; exec sleep 1000'\r`);
    await terminal.until(/WAITING\r?\n/);
    terminal.type(CTRL_C);
    await terminal.until(prompt);
    terminal.type('exit\r');
    await terminal.until(/exit\r?\n/);
    // The shell starts again only after Enter, which is lost before the line is open again.
    assert.equal((await runSandbox(['--attach', name], { input: READS_LINE })).code, 0);
    terminal.type('\r');
    await terminal.until(prompt);
    terminal.type('left=behi""nd\r');
    await terminal.until(prompt);
    await leave(terminal);

    const again = await console();
    again.type('echo $left\r');
    await again.until(/behind\r?\n/);
    await leave(again);
    assert.equal(running.out(), 'running\n', 'nothing of it reaches the application');
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name, system.where);
  });

  for (const way of [embedded, system]) {
    it(`-v says why there is no console over ${way.uri}, and only -v`, { skip: way.skip }, async (t) => {
      const { name, running } = await startWithShell(t, way.uri, '-v', '--shell');
      const why = NO_CONSOLE.exec(running.stderr())?.[1];
      if (way === embedded) assert.equal(why, 'there is no daemon that virsh could ask');
      else {
        const xml = execFileSync('virsh', ['-q', '-c', way.uri, 'dumpxml', name], { encoding: 'utf8' });
        const expected = xml.includes("<serial type='pty'")
          ? undefined
          : 'the user whom QEMU runs as may not open /dev/ptmx';
        assert.equal(why, expected);
      }
    });
  }
});
