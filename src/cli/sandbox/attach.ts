/** A root shell in a running sandbox, at this terminal: `--attach` and breakpoints. */

import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { type Attached, attachIn, attachTo } from '../../sandbox/attach.js';
import { awaitVerdict } from '../../sandbox/setup/breakpoint.js';
import type { Breakpoint, Stop } from '../../sandbox/types.js';
import { shellWord } from '../../util/shell-word.js';
import { programName } from '../program-name.js';
import { connectStreams } from '../terminal/connect.js';
import { ENDING, localTerminal } from '../terminal/forward.js';
import { HUNG_UP } from '../terminal/hang-up.js';

const say = (text: string) => process.stderr.write(`${programName()}: ${text}\n`);

/** Says how to get into the sandbox from another terminal. */
export function sayHowToAttach(name: string): void {
  say(`a root shell, from another terminal: virt-sandbox --attach ${shellWord(name)}`);
}

/**
 * `--attach NAME [COMMAND]`
 * @returns the exit status for this process; 0 after Ctrl+]
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
  const status = await superviseShell(attached, tty);
  if (status === undefined) say(`detached from ${name}${attached.atBreakpoint ? ', which waits on' : ''}`);
  return status ?? 0;
}

/** Stops the start before a step: for a shell at this terminal, or without a terminal for somebody who attaches. */
export function breakpointAt(step: string, tty: boolean, onStop: () => void): Breakpoint {
  return {
    step,
    onStop: async (stop) => {
      onStop();
      if (tty) {
        const attached = await attachIn(stop, { terminal: localTerminal() });
        say(`stopped before step ${step}; exit lets the start go on, exit 1 gives it up, Ctrl+] leaves it waiting`);
        const status = await superviseShell(attached, true);
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

/** @returns the status of the shell, or 128+N after signal N; undefined after Ctrl+] */
function superviseShell(attached: Attached, tty: boolean): Promise<number | undefined> {
  return new ShellSupervisor(attached).run(tty);
}

/** Serves an attached shell until it ends or this process leaves it. */
class ShellSupervisor {
  /** Why this process left before the shell ended; a number is the exit status. */
  #left: number | 'detached' | undefined;
  /** The first failure of the local streams. */
  #failure: unknown;
  /** The status of the shell, once it has ended. */
  #status: number | undefined;
  /** Resolves `#leaving`. */
  #leave: () => void = () => {};
  readonly #leaving = new Promise<void>((resolve) => {
    this.#leave = resolve;
  });

  constructor(readonly attached: Attached) {}

  async run(tty: boolean): Promise<number | undefined> {
    const handlers = ENDING.map((signal) => [signal, () => this.#end(128 + constants.signals[signal])] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    const { copies, release } = connectStreams(this.attached, {
      tty,
      onLeave: () => this.#end('detached'),
      onHangUp: () => this.#end(HUNG_UP),
      onReaderGone: () => this.#end(128 + constants.signals.SIGPIPE),
      onFailure: (error) => this.#fail(error),
    });
    const exited = this.#exited(copies);
    // It may fail after this process has left.
    exited.catch(() => {});
    try {
      await Promise.race([exited, this.#leaving]);
    } finally {
      release();
      for (const [signal, handler] of handlers) process.off(signal, handler);
      await this.attached.close(this.#left === undefined ? this.#status : undefined);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#left === 'detached' ? undefined : (this.#left ?? this.#status);
  }

  /** Waits for the end of the shell and for all of its output. */
  async #exited(copies: readonly Promise<void>[]): Promise<void> {
    this.#status = (await this.attached.exited).exitCode;
    await Promise.all(copies);
  }

  #end(how: number | 'detached'): void {
    this.#left ??= how;
    this.#leave();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#leave();
  }
}
