/** Running whole processes against the clock. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { openPipe } from './pipe.js';
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
  /** How often a run that fails is started anew (0): what another program gets wrong now and then is not measured here. */
  readonly retries?: number;
}

export type Progress = (message: string) => void;

/** Far above anything measured here: it ends what hangs. */
const TIMEOUT_MS = 120_000;
const KEPT_ERRORS = 4096;

/**
 * Runs a command to its end.
 * @returns the seconds from just before its start until it is gone, and what it printed
 * @throws {Error} when it fails
 */
export async function timed(command: Command): Promise<{ readonly seconds: number; readonly stdout: string }> {
  const pieces: Buffer[] = [];
  const stdout = openPipe();
  stdout.output.on('data', (piece: Buffer) => pieces.push(piece));
  const ended = once(stdout.output, 'end');
  const seconds = await runToEnd(command, stdout.input).finally(() => stdout.release());
  await ended;
  return { seconds, stdout: Buffer.concat(pieces).toString() };
}

/**
 * Runs a command until it is gone.
 * @param stdout descriptor; it stays open
 * @param input file on its stdin
 * @returns the seconds from just before its start
 * @throws {Error} with the end of its stderr, unless it ends with status 0
 */
export async function runToEnd(
  { label, argv, environment }: Command,
  stdout: number,
  input = '/dev/null',
): Promise<number> {
  const stdin = openSync(input, 'r');
  const stderr = openPipe();
  let errors = '';
  stderr.output.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  const errorsEnded = once(stderr.output, 'end');
  const start = process.hrtime.bigint();
  const child = spawn(argv[0], argv.slice(1), {
    stdio: [stdin, stdout, stderr.input],
    env: { ...process.env, ...environment },
  });
  closeSync(stdin);
  stderr.release();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGTERM');
  }, TIMEOUT_MS);
  try {
    const [code, signal] = await once(child, 'exit');
    const end = process.hrtime.bigint();
    await errorsEnded;
    if (code === 0) return Number(end - start) / 1e9;
    const how = late ? `took longer than ${TIMEOUT_MS / 1000} s` : `ended with ${signal ?? `status ${code}`}`;
    throw new Error(`${label} ${how}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`);
  } finally {
    clearTimeout(timer);
    stderr.output.destroy();
  }
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
      const command = { ...variant, environment: { ...variant.environment, ...prepared } };
      const { seconds } = await retried(() => timed(command), variant.retries ?? 0, progress);
      const which = round === 0 ? 'warm-up' : `${round}/${runs}`;
      progress(`${variant.label} ${which}: ${seconds.toFixed(3)} s`);
      if (round > 0) values.get(variant.label)?.push(seconds);
    }
  }
  return Object.fromEntries([...values].map(([label, list]) => [label, summarize(list)])) as Record<Label, Summary>;
}

async function retried<Result>(work: () => Promise<Result>, retries: number, progress: Progress): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (retries === 0) throw error;
    progress(`once more: ${error instanceof Error ? error.message : String(error)}`);
    return retried(work, retries - 1, progress);
  }
}
