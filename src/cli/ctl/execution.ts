/** Serves a command in a sandbox to its end: streams, terminal, signals, exit status. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import type { SandboxProcess } from '../../sandbox/process/process.js';
import { connectStreams, type Streams } from '../terminal/connect.js';
import { ENDING, localTerminal } from '../terminal/forward.js';
import { HUNG_UP, hasHungUp } from '../terminal/hang-up.js';

/** Time for the command to end when its terminal is gone, in milliseconds. */
const GRACE_MS = 2000;

/** The exit status of timeout(1). */
const TIMED_OUT = 124;

export interface ExecutionOptions {
  /** The command gets standard input. */
  readonly interactive: boolean;
  /** The command has a terminal. */
  readonly tty: boolean;
}

/**
 * A command and this process's streams. What leaves it running relies on the end of the connection, which ends it:
 * SIGHUP, and SIGKILL two seconds later.
 */
export class Execution {
  /** Exit status that was decided here, before the command ended. */
  #left: number | undefined;
  /** The first failure of the local streams. */
  #failure: unknown;
  /** Resolves `#leaving`. */
  #leave: () => void = () => {};
  readonly #leaving = new Promise<void>((resolve) => {
    this.#leave = resolve;
  });

  constructor(
    readonly process: SandboxProcess,
    readonly options: ExecutionOptions,
  ) {}

  /**
   * @returns the exit status for this process
   * @throws {SandboxError} `input-failed`, `output-failed`, `process-lost`
   */
  async run(): Promise<number> {
    const { interactive, tty } = this.options;
    const atTerminal = tty && interactive && isatty(0);
    const releaseSignals = this.#forwardEnding();
    const releaseSize = tty && !atTerminal ? this.#followSize() : () => {};
    const streams = connectStreams(this.process, {
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
    const handlers = ENDING.map((signal) => [signal, () => void this.process.kill(signal)] as const);
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
    void this.process.kill('SIGHUP');
    void delay(GRACE_MS, undefined, { ref: false }).then(() => this.#end(HUNG_UP));
  }

  /** The command gets what it would get by writing to such a pipe. */
  #readerGone(): void {
    void this.process.kill('SIGPIPE').then(() => this.#end(128 + constants.signals.SIGPIPE));
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
