/** One process from before its execution until it is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { settlesWithin } from '../../util/promises.js';
import { openPipe } from './pipe.js';

export interface ProcessRun {
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly started: number;
  readonly ended: number;
}

/** Far above anything measured here: it ends what hangs. */
const TIMEOUT_MS = 180_000;
const KEPT_ERRORS = 4096;

/** Somebody does not want to wait for the rest. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

export interface Command {
  /** Unique among those that are compared. */
  readonly label: string;
  readonly argv: readonly [string, ...string[]];
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProcessOptions {
  /** Descriptor; it stays open. */
  readonly stdout: number;
  /** File on its stdin. */
  readonly input?: string | undefined;
  /** Ends the process, which then has a group of its own: Ctrl+C is for the benchmark, which ends what it has started. */
  readonly signal?: AbortSignal;
}

/** Runs a command until it is gone, and throws its output away. */
export async function runSilently(command: Command, signal: AbortSignal): Promise<ProcessRun> {
  // As a shell makes them, since virtme-ng opens its output anew by its name.
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
 * @throws {Error} with the end of its stderr, unless it ends with status 0
 */
export async function runProcess(
  { label, argv, environment }: Command,
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
    if (code === 0) return run;
    // What it has left behind may hold its stderr open.
    await settlesWithin(told, 1000);
    const how = late ? `took longer than ${TIMEOUT_MS / 1000} s` : `ended with ${killed ?? `status ${code}`}`;
    throw new Error(`${label} ${how}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    stderr.output.destroy();
  }
}
