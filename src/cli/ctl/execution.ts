/** Serves a command in a sandbox to its end: streams, terminal, signals, exit status. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { silentError } from '../../control/errors.js';
import type { SandboxProcess } from '../../sandbox/process/process.js';
import { settlesWithin } from '../../util/promises.js';
import { connectStreams, type Streams } from '../terminal/connect.js';
import { ENDING, localTerminal } from '../terminal/forward.js';
import { HUNG_UP, hasHungUp } from '../terminal/hang-up.js';

/** Time for the command to end when its terminal is gone, in milliseconds. */
const GRACE_MS = 2000;

/** How long the holder may take to answer, in milliseconds. */
export const ANSWER_MS = 5000;

/** When a second signal ends this process although the first one is not answered yet, in milliseconds. */
const IMPATIENT_MS = 1000;

/** Who sends one of these wants an end, also where the holder does not answer. */
const WANTS_END: readonly NodeJS.Signals[] = [...ENDING, 'SIGINT', 'SIGQUIT', 'SIGKILL'];

/** The exit status of timeout(1). */
const TIMED_OUT = 124;

export interface ExecutionOptions {
  /** The command gets standard input. */
  readonly interactive: boolean;
  /** The command has a terminal. */
  readonly tty: boolean;
  /** The sandbox that it runs in. */
  readonly name: string;
  /** Time that the command has, in milliseconds: the guest kills it then. */
  readonly timeout?: number | undefined;
  /** How long the holder may take to answer, in milliseconds; default: 5 s. */
  readonly answerMs?: number | undefined;
}

/**
 * A command and this process's streams. What leaves it running relies on the end of the connection, which ends it:
 * SIGHUP, and SIGKILL two seconds later. A holder that does not answer, as one that is stopped, keeps no one.
 */
export class Execution {
  /** Exit status that was decided here, before the command ended. */
  #left: number | undefined;
  /** The first failure of the local streams. */
  #failure: unknown;
  /** Resolves `#leaving`. */
  #leave: () => void = () => {};
  /** When the signal was sent that is not answered yet. */
  #unansweredSince: number | undefined;
  readonly #leaving = new Promise<void>((resolve) => {
    this.#leave = resolve;
  });

  constructor(
    readonly process: SandboxProcess,
    readonly options: ExecutionOptions,
  ) {}

  /**
   * @returns the exit status for this process
   * @throws {SandboxError} `input-failed`, `output-failed`, `process-lost`, `control-failed`
   */
  async run(): Promise<number> {
    const { interactive, tty, timeout } = this.options;
    const atTerminal = tty && interactive && isatty(0);
    const releaseSignals = this.#forwardEnding();
    const releaseSize = tty && !atTerminal ? this.#followSize() : () => {};
    const overdue =
      timeout === undefined ? undefined : setTimeout(() => void this.#kill('SIGKILL'), timeout + GRACE_MS);
    const program = {
      stdin: this.process.stdin,
      stdout: this.process.stdout,
      stderr: this.process.stderr,
      kill: (signal: NodeJS.Signals) => this.#kill(signal),
      resize: (rows: number, columns: number) => this.process.resize(rows, columns),
    };
    const streams = connectStreams(program, {
      tty: atTerminal,
      input: interactive,
      onLeave: () => this.#end(0),
      onHangUp: () => this.#hangUp(),
      onReaderGone: () => this.#readerGone(),
      onFailure: (error) => this.#fail(error),
    });
    try {
      return await this.#exitStatus(streams);
    } finally {
      clearTimeout(overdue);
      streams.release();
      releaseSize();
      releaseSignals();
    }
  }

  async #exitStatus({ copies }: Streams): Promise<number> {
    const ended = this.process.exited.then(async (exit) => {
      await Promise.all(copies);
      return exit;
    });
    // It may fail after this process has left.
    ended.catch(() => {});
    const exit = await Promise.race([ended, this.#leaving]).catch((error: unknown) => {
      if (!hasHungUp()) throw this.#failure ?? error;
      // Its output cannot be written, and nobody is there to read of a failure.
      this.#left ??= HUNG_UP;
    });
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#left !== undefined) return this.#left;
    return exit?.timedOut ? TIMED_OUT : (exit?.exitCode ?? 0);
  }

  /** SIGTERM and SIGHUP are for the command alone, which may take its time. */
  #forwardEnding(): () => void {
    const handlers = ENDING.map((signal) => [signal, () => void this.#kill(signal)] as const);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    return () => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    };
  }

  /** The command has a terminal, and this process's keyboard is not connected with it. */
  #followSize(): () => void {
    const resize = () => {
      const { rows, columns } = localTerminal();
      void this.process.resize(rows, columns);
    };
    process.on('SIGWINCH', resize);
    return () => process.off('SIGWINCH', resize);
  }

  /** The local terminal is gone: the command's hangs up, too. */
  #hangUp(): void {
    void this.#kill('SIGHUP');
    void delay(GRACE_MS, undefined, { ref: false }).then(() => this.#end(HUNG_UP));
  }

  /** The command gets what it would get by writing to such a pipe. */
  #readerGone(): void {
    void settlesWithin(this.process.kill('SIGPIPE'), GRACE_MS).then(() => this.#end(128 + constants.signals.SIGPIPE));
  }

  /** Sends the command a signal. */
  async #kill(signal: NodeJS.Signals): Promise<void> {
    const sent = this.process.kill(signal);
    if (!WANTS_END.includes(signal)) return sent;
    const now = performance.now();
    this.#unansweredSince ??= now;
    const { name, answerMs = ANSWER_MS } = this.options;
    const isAnswered = now - this.#unansweredSince < IMPATIENT_MS && (await settlesWithin(sent, answerMs));
    if (isAnswered) this.#unansweredSince = undefined;
    else this.#fail(silentError(name));
  }

  #end(status: number): void {
    this.#left ??= status;
    this.#leave();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#leave();
  }
}
