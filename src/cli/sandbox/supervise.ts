/** Serves a running sandbox to its end: streams, terminal, signals, exit status. */

import { createWriteStream } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { TIMED_OUT_STATUS } from '../../sandbox/exit-status.js';
import type { ProcessExit } from '../../sandbox/process/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { programName } from '../program-name.js';
import { type ConnectOptions, connectStreams, type Streams } from '../terminal/connect.js';
import { ENDING, type Program } from '../terminal/forward.js';
import { HUNG_UP, hasHungUp } from '../terminal/hang-up.js';

/** Time for the application to end after a signal, and for its last output after a failure, in milliseconds. */
const GRACE_MS = 2000;
/** The same for systemd, which ends its units first. */
const SYSTEMD_GRACE_MS = 30_000;

const TIME_OVER = 'the application was killed, because the time of --timeout was over';

/** A sandbox with an application. */
export interface Supervised extends Program {
  readonly name: string;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** How the application ended; settles when nothing of the sandbox is left. */
  readonly exited: Promise<ProcessExit>;
  /** Settles when the application has ended. */
  readonly ending: Promise<unknown>;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  /** The application has the local terminal. */
  readonly tty: boolean;
  /** The application runs under strace, whose trace is on the sandbox's stderr. */
  readonly traced: boolean;
  /** The application is systemd. */
  readonly isSystemd?: boolean;
  /** What serves the sandbox to others meanwhile; it is closed at the end. */
  readonly control?: { close(): Promise<void> };
  /** Called when signals are handled here. Whoever handled them before lets go then, and none is lost in between. */
  readonly onSignals: () => void;
}

/**
 * Waits for the end of the sandbox.
 * @returns the exit status for this process
 * @throws {SandboxError} `input-failed`, `output-failed`, `trace-not-written`, and what `sandbox.exited` rejects with
 */
export function supervise(sandbox: Supervised, options: SuperviseOptions): Promise<number> {
  return new Supervisor(sandbox, options.isSystemd ? SYSTEMD_GRACE_MS : GRACE_MS).run(options);
}

class Supervisor {
  /** Exit status that a signal, Ctrl+] or a lost reader decided; it overrides the application's. */
  #forced: number | undefined;
  /** The first failure of the local streams. */
  #failure: unknown;
  /** Set while the application has time to end after a signal. */
  #timer: NodeJS.Timeout | undefined;
  /** The terminal has hung up, and SIGHUP may still come. */
  #hungUp = false;
  /** Resolves `#givenUp`: do not wait for the output any longer. */
  #giveUp: () => void = () => {};
  readonly #givenUp = new Promise<void>((resolve) => {
    this.#giveUp = resolve;
  });

  constructor(
    readonly sandbox: Supervised,
    readonly graceMs: number,
  ) {}

  async run({ tty, traced, control, onSignals }: SuperviseOptions): Promise<number> {
    const releaseSignals = this.#endOnSignal();
    // The output may still wait for its reader then, and those who talk to the sandbox need not.
    const endControl = () => void control?.close();
    void this.sandbox.exited.then(endControl, endControl);
    const options: ConnectOptions = {
      tty,
      onLeave: () => this.#end(0),
      onHangUp: () => this.#hangUp(),
      // The application notices by the end of its sandbox, as it would by SIGPIPE.
      onReaderGone: () => this.#end(128 + constants.signals.SIGPIPE),
      onFailure: (error) => this.#fail(error),
    };
    // A trace would garble the application's terminal.
    const copyErrors = traced && tty && isatty(2) ? () => keepTrace(this.sandbox) : undefined;
    const streams = connectStreams(this.sandbox, options, copyErrors);
    onSignals();
    // The supervisor restores the terminal of a launcher that is killed, until that tells it to remove the sandbox.
    void this.sandbox.ending.then(streams.detach);
    try {
      return await this.#exitStatus(streams);
    } finally {
      streams.release();
      releaseSignals();
      await control?.close();
    }
  }

  async #exitStatus({ copies }: Streams): Promise<number> {
    try {
      const { exitCode, timedOut } = await this.sandbox.exited;
      // The sandbox is gone; its output may still wait for a slow reader. A second signal ends that wait.
      await Promise.race([Promise.all(copies), this.#givenUp]);
      if (this.#forced !== undefined) return this.#forced;
      if (!timedOut) return exitCode;
      process.stderr.write(`${programName()}: ${TIME_OVER}\n`);
      return TIMED_OUT_STATUS;
    } catch (error) {
      await Promise.race([Promise.allSettled(copies), delay(GRACE_MS, undefined, { ref: false })]);
      if (this.#forced !== undefined) return this.#forced;
      // Nobody is there to read of a failure.
      if (hasHungUp()) return HUNG_UP;
      throw this.#failure ?? error;
    }
  }

  /** Stops the sandbox; this process exits with `status` unless an earlier one was decided. */
  #end(status: number): void {
    this.#forced ??= status;
    this.#giveUp();
    void this.sandbox.stop();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    void this.sandbox.stop();
  }

  /**
   * The first SIGTERM or SIGHUP goes to the application. A second one, or the end of `graceMs`, stops the sandbox.
   * @returns a function that removes the handlers
   */
  #endOnSignal(): () => void {
    const handler = (signal: NodeJS.Signals) => {
      // The kernel sends it of a hang-up that was seen already.
      const isKnown = signal === 'SIGHUP' && this.#hungUp;
      this.#hungUp &&= !isKnown;
      if (isKnown) return;
      if (this.#timer) this.#end(128 + constants.signals[signal]);
      else this.#tell(signal);
    };
    for (const signal of ENDING) process.on(signal, handler);
    return () => {
      clearTimeout(this.#timer);
      for (const signal of ENDING) process.off(signal, handler);
    };
  }

  /** The terminal is gone. Not everybody gets SIGHUP then, and it may come later. */
  #hangUp(): void {
    if (this.#timer) return;
    this.#hungUp = true;
    this.#tell('SIGHUP');
  }

  /** Passes a signal on, and stops the sandbox if the application does not end by it. */
  #tell(signal: NodeJS.Signals): void {
    void this.sandbox.kill(signal);
    this.#timer = setTimeout(() => this.#end(128 + constants.signals[signal]), this.graceMs);
  }
}

/** Writes the trace to a file in the working directory and says which. */
function keepTrace(sandbox: Supervised): Promise<void> {
  const path = `${sandbox.name}.strace`;
  process.stderr.write(`${programName()}: the trace goes to ./${path}\r\n`);
  return pipeline(sandbox.stderr, createWriteStream(path, { mode: 0o600 })).catch((error: unknown) => {
    throw new SandboxError({
      stage: 'application',
      code: 'trace-not-written',
      message: `the trace cannot be written to ${path}: ${messageOf(error)}`,
      remedy: 'start it in a directory that you may write to, or send stderr elsewhere: 2>FILE',
      cause: error,
    });
  });
}
