/** Running whole processes against the clock. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type Summary, summarize } from './statistics.js';

export interface Command {
  /** Unique among those that are compared. */
  readonly label: string;
  readonly argv: readonly [string, ...string[]];
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A command that is run many times. */
export interface Variant extends Command {
  /** Before each run, outside of the measured time; what it returns is added to the run's environment. */
  readonly prepare?: () => Readonly<Record<string, string>>;
}

export type Progress = (message: string) => void;

/** Far above anything measured here: it ends what hangs. */
const TIMEOUT_MS = 180_000;
const KEPT_ERRORS = 4096;

/**
 * Runs a command to its end.
 * @returns the seconds from just before its start until it is gone, and what it printed
 * @throws {Error} when it fails
 */
export async function timed(command: Command): Promise<{ readonly seconds: number; readonly stdout: string }> {
  const start = process.hrtime.bigint();
  const child = spawn(command.argv[0], command.argv.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.environment },
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const end = await succeeded(child, command.label);
  return { seconds: Number(end - start) / 1e9, stdout };
}

/**
 * Waits until the process is gone and its output read.
 * @returns the clock when it was gone
 * @throws {Error} with the end of its stderr, unless it ended with status 0
 */
export function succeeded(child: ChildProcess, label: string): Promise<bigint> {
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, TIMEOUT_MS);
  let end: bigint;
  child.once('exit', () => {
    end = process.hrtime.bigint();
  });
  return new Promise<bigint>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(end);
      const how = late ? `took longer than ${TIMEOUT_MS / 1000} s` : `ended with ${signal ?? `status ${code}`}`;
      reject(new Error(`${label} ${how}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`));
    });
  }).finally(() => clearTimeout(timer));
}

/**
 * Measures variants in turn, A B A B, so that what else the machine does meets them alike, after one run of each that does not count.
 * @returns seconds by label
 */
export async function interleave<Label extends string>(
  variants: readonly (Variant & { readonly label: Label })[],
  runs: number,
  progress: Progress,
): Promise<Record<Label, Summary>> {
  const values = new Map<Label, number[]>(variants.map(({ label }) => [label, []]));
  for (let round = 0; round <= runs; round += 1) {
    for (const variant of variants) {
      const prepared = variant.prepare?.();
      const { seconds } = await timed({ ...variant, environment: { ...variant.environment, ...prepared } });
      const which = round === 0 ? 'warm-up' : `${round}/${runs}`;
      progress(`${variant.label} ${which}: ${seconds.toFixed(3)} s`);
      if (round > 0) values.get(variant.label)?.push(seconds);
    }
  }
  return Object.fromEntries([...values].map(([label, list]) => [label, summarize(list)])) as Record<Label, Summary>;
}
