/** Times whole processes. */
import { once } from 'node:events';
import { type Summary, summarize } from '../../src/bench/result/statistics.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { openPipe } from '../../src/bench/run/pipe.js';
import { type Command, runProcess } from '../../src/bench/run/process.js';

/** What else is run many times: it gives its seconds. */
export interface Measured {
  readonly label: string;
  run(): Promise<number>;
}

/** A command to run many times. */
export interface Variant extends Command {
  /** Called before each run, outside the measured time. Its result is added to the run's environment. */
  readonly prepare?: () => Readonly<Record<string, string>>;
  /** How often to repeat a failed run; default 0. Another program's occasional failures are not measured here. */
  readonly retries?: number;
}

export type Progress = (message: string) => void;

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
  const run = await runProcess(command, { stdout: stdout.input }).finally(() => stdout.release());
  await ended;
  return { seconds: (run.ended - run.started) / 1e9, stdout: Buffer.concat(pieces).toString() };
}

/**
 * Measures variants in turns, so that other work of the machine affects all alike. The first run of each does not
 * count.
 * @returns seconds by label
 */
export async function interleave<Label extends string>(
  variants: readonly ((Variant | Measured) & { readonly label: Label })[],
  runs: number,
  progress: Progress,
): Promise<Record<Label, Summary>> {
  const values = new Map<Label, number[]>(variants.map(({ label }) => [label, []]));
  for (let round = 0; round <= runs; round += 1) {
    for (const variant of inOrderOf(round, variants)) {
      const seconds = 'run' in variant ? await variant.run() : await secondsOf(variant, progress);
      const which = round === 0 ? 'warm-up' : `${round}/${runs}`;
      progress(`${variant.label} ${which}: ${seconds.toFixed(3)} s`);
      if (round > 0) values.get(variant.label)?.push(seconds);
    }
  }
  return Object.fromEntries([...values].map(([label, list]) => [label, summarize(list)])) as Record<Label, Summary>;
}

async function secondsOf(variant: Variant, progress: Progress): Promise<number> {
  const prepared = variant.prepare?.();
  const command = { ...variant, environment: { ...variant.environment, ...prepared } };
  return (await retried(() => timed(command), variant.retries ?? 0, progress)).seconds;
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
