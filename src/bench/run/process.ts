/** One process from before its execution until it is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { isFallbackLine } from '../../domain/acceleration.js';
import { settlesWithin } from '../../util/promises.js';
import { openPipe } from './pipe.js';

export interface ProcessRun {
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly started: number;
  readonly ended: number;
}

/** Ends a run that hangs; far above anything measured here. */
export const TIMEOUT_MS = 180_000;
const KEPT_ERRORS = 4096;

/** The user interrupted the measurement. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

export interface Command {
  /** Unique among the compared commands. */
  readonly label: string;
  readonly argv: readonly [string, ...string[]];
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether it did what it was run for, where it ends with another status than 0. */
  readonly isDone?: () => boolean;
}

export interface ProcessOptions {
  /** Descriptor for its stdout; it stays open here. */
  readonly stdout: number;
  /** File for its stdin; default: /dev/null. */
  readonly input?: string | undefined;
  /**
   * Ends the process. With a signal the process has a group of its own, so that Ctrl+C reaches only the benchmark,
   * which ends it.
   */
  readonly signal?: AbortSignal;
}

/** Runs a command until it is gone, and discards its output. */
export async function runSilently(command: Command, signal: AbortSignal): Promise<ProcessRun> {
  // A pipe as a shell makes it: virtme-ng reopens its output by name.
  const stdout = openPipe();
  stdout.output.resume();
  try {
    return await runProcess(command, { stdout: stdout.input, signal }).finally(() => stdout.release());
  } finally {
    stdout.output.destroy();
  }
}

/**
 * Runs a command until it is gone.
 * @throws {Interrupted} when it was ended by the signal
 * @throws {Error} with the end of its stderr, unless it ends with status 0, or is done
 */
export async function runProcess(
  { label, argv, environment, isDone }: Command,
  { stdout, input = '/dev/null', signal }: ProcessOptions,
): Promise<ProcessRun> {
  if (signal?.aborted) throw new Interrupted();
  const stdin = openSync(input, 'r');
  const stderr = openPipe();
  const started = Number(process.hrtime.bigint());
  const child = spawn(argv[0], argv.slice(1), {
    stdio: [stdin, stdout, stderr.input],
    env: { ...process.env, ...environment },
    detached: signal !== undefined,
  });
  closeSync(stdin);
  stderr.release();
  const told = once(stderr.output, 'end');
  let errors = '';
  stderr.output.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  const end = () => void child.kill('SIGTERM');
  signal?.addEventListener('abort', end, { once: true });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, TIMEOUT_MS);
  try {
    const [code, killed] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    const run = { started, ended: Number(process.hrtime.bigint()) };
    if (signal?.aborted) throw new Interrupted();
    if (code === 0 || (!late && isDone?.())) return run;
    // A process that it left behind may hold its stderr open.
    await settlesWithin(told, 1000);
    // It says no more than that the machine is emulated.
    errors = errors
      .split('\n')
      .filter((line) => !isFallbackLine(line))
      .join('\n');
    const how = late ? `took longer than ${TIMEOUT_MS / 1000} s` : `ended with ${killed ?? `status ${code}`}`;
    throw new Error(`${label} ${how}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    stderr.output.destroy();
  }
}
