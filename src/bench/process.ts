/** One process from before its execution until it is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

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

/**
 * @param signal ends the process
 * @throws {Interrupted} when it was ended by the signal
 * @throws {Error} with the end of its stderr, unless it ends with status 0
 */
export async function runProcess(
  label: string,
  argv: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ProcessRun> {
  if (signal.aborted) throw new Interrupted();
  const started = Number(process.hrtime.bigint());
  const child = spawn(argv[0], argv.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
    // A group of its own: Ctrl+C is for the benchmark, which ends what it has started.
    detached: true,
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  const end = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', end, { once: true });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, TIMEOUT_MS);
  try {
    const [code, ended] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    const run = { started, ended: Number(process.hrtime.bigint()) };
    if (signal.aborted) throw new Interrupted();
    if (code === 0) return run;
    const how = late ? `took longer than ${TIMEOUT_MS / 1000} s` : `ended with ${ended ?? `status ${code}`}`;
    throw new Error(`${label} ${how}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
