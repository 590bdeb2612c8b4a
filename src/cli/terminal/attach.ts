/** A root shell in a running sandbox, at this terminal: `--attach`, and breakpoints. */
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import type { Attached } from '../../sandbox/attach.js';
import { attachIn, attachTo } from '../../sandbox/attach.js';
import { awaitVerdict } from '../../sandbox/setup/breakpoint.js';
import type { Breakpoint, Stop } from '../../sandbox/types.js';
import { shellWord } from '../../util/shell-word.js';
import { attachTerminal, copyIn, ENDING, forwardSignals, localTerminal } from './forward.js';
import { copyOut, ReaderGone } from './output.js';

const say = (text: string) => process.stderr.write(`virt-sandbox: ${text}\n`);

/** How to get into a sandbox from another terminal. */
export function sayHowToAttach(name: string): void {
  say(`a root shell, from another terminal: virt-sandbox --attach ${shellWord(name)}`);
}

/**
 * `--attach NAME [COMMAND]`
 * @returns the exit status for this process
 */
export async function attach(name: string, command: readonly string[]): Promise<number> {
  const tty = isatty(0) && isatty(1);
  const attached = await attachTo(name, { command, terminal: tty ? localTerminal() : undefined });
  if (tty && command.length === 0) {
    const leave = attached.atBreakpoint
      ? 'exit lets its start go on, exit 1 gives it up'
      : 'exit or Ctrl+D ends the shell';
    say(`root shell of the sandbox ${name}; ${leave}, Ctrl+] detaches`);
  }
  const status = await supervise(attached, tty);
  if (status === undefined) say(`detached from ${name}${attached.atBreakpoint ? ', which waits on' : ''}`);
  return status ?? 0;
}

/** Where a start stops for somebody who looks around: in a shell at this terminal, else for one who attaches. */
export function breakpointAt(step: string, tty: boolean, onStop: () => void): Breakpoint {
  return {
    step,
    onStop: async (stop) => {
      onStop();
      if (tty) {
        const attached = await attachIn(stop, { terminal: localTerminal() });
        say(`stopped before step ${step}; exit lets the start go on, exit 1 gives it up, Ctrl+] leaves it waiting`);
        const status = await supervise(attached, true);
        if (status !== undefined) return status === 0;
      }
      return awaitOther(stop);
    },
  };
}

async function awaitOther(stop: Stop): Promise<boolean> {
  const verdict = awaitVerdict(stop);
  say(`stopped before step ${stop.step}; attach with: virt-sandbox --attach ${shellWord(stop.name)}`);
  return verdict;
}

/** @returns the status of the shell; undefined when the person detached */
async function supervise(attached: Attached, tty: boolean): Promise<number | undefined> {
  let left: number | 'detached' | undefined;
  let leave: () => void = () => {};
  const leaving = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const end = (how: number | 'detached') => {
    left ??= how;
    leave();
  };
  const detach = tty ? attachTerminal(attached, () => end('detached')) : () => {};
  const release = forwardSignals(attached, tty);
  const handlers = ENDING.map((signal) => [signal, () => end(128 + constants.signals[signal])] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  let broken: unknown;
  const fail = (error: unknown) => {
    if (error instanceof ReaderGone) end(128 + constants.signals.SIGPIPE);
    else {
      broken ??= error;
      leave();
    }
  };
  if (!tty) copyIn(attached, fail);
  const copies = Promise.all([copyOut(attached.stdout, 1), copyOut(attached.stderr, 2)]);
  copies.catch(fail);
  let status: number | undefined;
  const exited = attached.exited.then(async ({ exitCode }) => {
    status = exitCode;
    await copies;
  });
  exited.catch(() => {});
  try {
    await Promise.race([exited, leaving]);
  } finally {
    detach();
    release();
    for (const [signal, handler] of handlers) process.off(signal, handler);
    await attached.close(left === undefined ? status : undefined);
  }
  if (broken !== undefined) throw broken;
  return left === 'detached' ? undefined : (left ?? status);
}
