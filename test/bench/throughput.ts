/** Benchmark `throughput`: bytes out of the guest, and through it. */
import { randomBytes } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { summarize } from '../../src/bench/result/statistics.js';
import { virtmeArgv } from '../../src/bench/run/commands.js';
import type { Context } from './context.js';
import { forInformation, type Quantity, quantity, type Reference, type Row, timesTheRate } from './row.js';
import { type Transfer, transferRate } from './transfer.js';

const OUT_BYTES = 256 * 2 ** 20;
const THROUGH_BYTES = 64 * 2 ** 20;
const RUNS = 3;
/** Each run boots for about 20 s. */
const VIRTME_RUNS = 2;

/** One way of the bytes: out of the guest, or through it. */
interface Way {
  readonly what: string;
  readonly command: readonly string[];
  readonly input?: string;
  /** File with the bytes that must come out. */
  readonly expected: string;
  /** MiB/s of virtme-ng 1.41 with its own init, as docs/benchmarks.md says. */
  readonly documented: number;
}

export async function throughputRows(context: Context): Promise<Row[]> {
  const zeros = join(context.scratch, 'zeros');
  const random = join(context.scratch, 'random');
  const input = join(context.scratch, 'through');
  const data = randomBytes(OUT_BYTES);
  writeFileSync(zeros, '');
  truncateSync(zeros, OUT_BYTES);
  writeFileSync(random, data);
  writeFileSync(input, data.subarray(0, THROUGH_BYTES));
  const ways: Way[] = [
    {
      what: '256 MiB out of the guest',
      command: ['head', '-c', String(OUT_BYTES), '/dev/zero'],
      expected: zeros,
      documented: 93,
    },
    { what: '64 MiB through the guest', command: ['cat'], input, expected: input, documented: 63 },
  ];
  const rows: Row[] = [];
  for (const way of ways) {
    const value = await rate(context, way, 'virt-sandbox', RUNS, [context.program, '--', ...way.command]);
    const measured = await virtmeRate(context, way);
    const what = `${way.what}, byte-identical`;
    if (measured) rows.push(timesTheRate(what, value, measured, 1));
    rows.push(
      timesTheRate(what, value, { name: 'virtme-ng 1.41, documented', amount: way.documented, unit: 'MiB/s' }, 1),
    );
  }
  rows.push(await fileRow(context, random));
  return rows;
}

/** Random data must arrive too. Its rate depends on what serves the root as well, so it has no limit. */
async function fileRow(context: Context, file: string): Promise<Row> {
  const way = { what: '256 MiB of random data', command: ['cat', file], expected: file, documented: 0 };
  const value = await rate(context, way, 'virt-sandbox', 1, [context.program, '--', ...way.command]);
  return forInformation('256 MiB of random data out of a file of the root, byte-identical', value);
}

/** @returns undefined if virtme-ng is missing, or does not deliver the bytes */
async function virtmeRate(context: Context, way: Way): Promise<Reference | undefined> {
  const { virtme, progress } = context;
  if ('missing' in virtme) return undefined;
  try {
    const argv = virtmeArgv(virtme, 'tcg', ...way.command);
    return { name: 'virtme-ng', ...(await rate(context, way, 'virtme-ng', VIRTME_RUNS, argv)) };
  } catch (error) {
    progress(`virtme-ng is left out: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function rate(
  { progress, scratch }: Context,
  way: Way,
  who: string,
  runs: number,
  argv: readonly [string, ...string[]],
): Promise<Quantity> {
  const transfer: Transfer = { label: `${who}, ${way.what}`, argv, expected: way.expected };
  const rates: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const one = await transferRate(way.input === undefined ? transfer : { ...transfer, input: way.input }, scratch);
    progress(`${transfer.label} ${run}/${runs}: ${one.toFixed(0)} MiB/s`);
    rates.push(one);
  }
  return quantity(summarize(rates), 'MiB/s');
}
