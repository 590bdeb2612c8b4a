/** Runs every system, round after round, and keeps what each row took. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { summarize } from '../../../src/bench/result/statistics.js';
import { inOrderOf } from '../../../src/bench/run/order.js';
import { findInPath } from '../../../src/util/programs.js';
import type { Measuring } from '../context.js';
import { type Quantity, quantity } from '../row.js';
import { copyGround, makeGround } from './ground.js';
import { MOST_SECONDS } from './inside.js';
import { type Amounts, amountsOf, rowsFile, type WorkRow, workRows } from './rows.js';
import { HOST, type System, type SystemName, systemsOf } from './systems.js';
import { driveWork, type RowResult } from './work.js';

/** A row that takes longer is ended: it says no more than that. Where KVM is emulated there are more of them. */
export const ROW_SECONDS = { usual: 60, nested: 30 };
/** The status of such a row. */
const LATE = 124;

/**
 * What a system took for a row, or why that is not known.
 * `isMore`: it took longer than this.
 */
export type Cell = { readonly quantity: Quantity; readonly isMore?: true } | { readonly failure: string };

export interface DataResult {
  readonly amounts: Pick<Amounts, 'echoes'>;
  readonly rows: readonly Pick<WorkRow, 'name' | 'what'>[];
  readonly systems: readonly Pick<System, 'name' | 'title'>[];
  /** By the names of rows; `echoes` has a rate. */
  readonly cells: ReadonlyMap<SystemName, ReadonlyMap<string, Cell>>;
  /** What was left out, and why: one sentence each. */
  readonly leftOut: readonly string[];
}

export const ECHOES = 'echoes';

/**
 * @param rowSeconds how long a row may take
 * @param minutes no system begins later, and one that runs then is ended; what is not measured is named
 * @param onPart gets what is measured so far, each time that a system has ended
 */
export async function measureData(
  context: Measuring,
  rowSeconds: number,
  minutes = Number.POSITIVE_INFINITY,
  systems: readonly System[] = systemsOf(context),
  onPart: (result: DataResult) => void = () => {},
): Promise<DataResult> {
  const latest = performance.now() + minutes * 60_000;
  const amounts = amountsOf(context.scale);
  const all = workRows(amounts);
  const lacks = ({ programs = [] }: WorkRow) => programs.find((name) => findInPath(name) === undefined);
  const rows = all.filter((row) => lacks(row) === undefined);
  const ground = join(context.scratch, 'ground');
  context.progress('making the files');
  makeGround(ground, amounts);
  const run = (system: System, left = Number.POSITIVE_INFINITY) =>
    runOnce(context, system, ground, rowsFile(rows, rowSeconds), amounts, Math.min(left, MOST_SECONDS));
  const { rows: wanted, failure } = await run(HOST);
  if (failure !== undefined) throw new Error(`${HOST.title}: ${failure}`);
  const works = new Map<SystemName, Attempt[]>();
  for (let round = 0; round < context.runs; round += 1) {
    for (const system of inOrderOf(round, systems)) {
      if (performance.now() > latest) {
        context.progress(`${system.title}, round ${round + 1}: left out, since ${minutes} minutes are over`);
        continue;
      }
      const work = await run(system, (latest - performance.now()) / 1000);
      if (work.failure !== undefined) context.progress(`${system.title}: ${work.failure}`);
      works.set(system.name, [...(works.get(system.name) ?? []), work]);
      onPart(result('the machine did not end by itself'));
    }
  }
  return result(`${minutes} minutes were over`);

  function result(whyLess: string): DataResult {
    const cells = new Map([...works].map(([name, all]) => [name, cellsOf(rows, all, wanted, rowSeconds)] as const));
    const native = new Map(
      [...wanted].map(([name, { seconds }]) => [name, { quantity: { amount: seconds, unit: 's' } }]),
    );
    return {
      amounts,
      rows,
      systems,
      cells: new Map<SystemName, ReadonlyMap<string, Cell>>([...cells, ['host', native as ReadonlyMap<string, Cell>]]),
      leftOut: [
        ...all.flatMap((row) => {
          const program = lacks(row);
          return program === undefined ? [] : [`${row.what}: there is no ${program}`];
        }),
        ...systems.flatMap(({ name, title }) => {
          const rounds = context.runs - (works.get(name)?.length ?? 0);
          return rounds === 0 ? [] : [`${title}, ${rounds} of ${context.runs}: ${whyLess}`];
        }),
        ...('missing' in context.virtme ? [`virtme-ng: ${context.virtme.missing}`] : []),
      ],
    };
  }
}

/** What a system has done before it ended, and why it did not do all. */
interface Attempt {
  readonly rows: ReadonlyMap<string, RowResult>;
  readonly echoes?: number;
  readonly failure?: string;
}

async function runOnce(
  { scratch, progress }: Measuring,
  system: System,
  ground: string,
  rows: string,
  amounts: Amounts,
  mostSeconds: number,
): Promise<Attempt> {
  const directory = join(scratch, 'directory');
  copyGround(ground, directory);
  try {
    writeFileSync(join(directory, 'rows'), rows);
    const begun = performance.now();
    const done = new Map<string, RowResult>();
    const onRow = (name: string, result: RowResult) => {
      done.set(name, result);
      progress(`${system.title}, ${name}: ${rowText(result)}`);
    };
    const work = await system
      .run(directory, (streams) => driveWork(streams, amounts.echoes, onRow), mostSeconds)
      .catch((error: Error) => error);
    if (work instanceof Error) return { rows: checked(done, directory, amounts), failure: work.message };
    const whole = (performance.now() - begun) / 1000;
    progress(`${system.title}: ${work.echoes.toFixed(0)} echoes a second; ${whole.toFixed(0)} s in all`);
    return { rows: checked(work.rows, directory, amounts), echoes: work.echoes };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function rowText({ seconds, guestSeconds, status, error }: RowResult): string {
  const guest = guestSeconds === undefined ? '' : ` (${guestSeconds.toFixed(3)} s by the guest's clock)`;
  return `${seconds.toFixed(3)} s${guest}${status === 0 ? '' : `, status ${status}: ${error}`}`;
}

/** Sees on the host whether all that was written is there. */
function checked(rows: Attempt['rows'], directory: string, { mebibytes }: Amounts): Attempt['rows'] {
  const write = rows.get('write');
  if (write?.status !== 0) return rows;
  let error: string | undefined;
  try {
    const said = execFileSync(join(directory, 'data-work'), ['read', join(directory, 'new')], { encoding: 'utf8' });
    if (said !== `${mebibytes * 256} pages\n`) error = `only ${said.trimEnd()} are on the host`;
  } catch {
    error = 'what was written is not what is on the host';
  }
  return error === undefined ? rows : new Map([...rows, ['write', { ...write, status: 1, error }]]);
}

function cellsOf(
  rows: readonly WorkRow[],
  works: readonly Attempt[],
  wanted: ReadonlyMap<string, RowResult>,
  rowSeconds: number,
): Map<string, Cell> {
  const cells = new Map<string, Cell>();
  const failure = works.find((work) => work.failure !== undefined)?.failure;
  for (const { name } of rows) {
    const results = works.flatMap((work) => work.rows.get(name) ?? []);
    if (results.length > 0) cells.set(name, cellOf(results, wanted.get(name), rowSeconds));
    else if (failure !== undefined) cells.set(name, { failure });
  }
  const rates = works.flatMap(({ echoes }) => echoes ?? []);
  cells.set(ECHOES, rates.length > 0 ? { quantity: quantity(summarize(rates), '/s') } : { failure: failure ?? '' });
  return cells;
}

/**
 * @param wanted what the row prints on the host
 * @param rowSeconds how long it may take
 */
export function cellOf(results: readonly RowResult[], wanted: RowResult | undefined, rowSeconds: number): Cell {
  const wrong = results.find(({ status, printed }) => status !== 0 || printed !== wanted?.printed);
  if (wrong === undefined) return { quantity: quantity(summarize(results.map(({ seconds }) => seconds)), 's') };
  if (wrong.status === LATE) return { quantity: { amount: rowSeconds, unit: 's' }, isMore: true };
  if (wrong.status !== 0) return { failure: `status ${wrong.status}: ${wrong.error}` };
  return { failure: `it printed ${wrong.printed} and not ${wanted?.printed}` };
}

/** The quicker of two. */
export function best(one: Cell | undefined, other: Cell | undefined): Cell | undefined {
  if (one === undefined || 'failure' in one) return other ?? one;
  if (other === undefined || 'failure' in other) return one;
  return isQuicker(one.quantity, other.quantity) ? one : other;
}

function isQuicker(one: Quantity, other: Quantity): boolean {
  return one.unit === '/s' ? one.amount > other.amount : one.amount < other.amount;
}
