/** Benchmark `data`: what is done with files, beside virtme-ng and beside a bare QEMU with the same shares. */
import { writeFileSync } from 'node:fs';
import type { Context } from './context.js';
import { best, type Cell, type DataResult, ECHOES, measureData, ROW_SECONDS } from './data/measure.js';
import { measureNested } from './data/nested/machine.js';
import { nestedPage } from './data/nested/page.js';
import { dataPage } from './data/page.js';
import { OWN, type Own, type SystemName } from './data/systems.js';
import { type Row, timesAsLong, timesTheRate } from './row.js';

/** Of the times of virtme-ng, and of bare QEMU. */
export const MOST = { virtme: 1, bare: 1.2 };

export async function dataRows(context: Context): Promise<Row[]> {
  if (process.geteuid?.() !== 0) throw new Error('it empties caches and makes a view of the files, which takes root');
  const { page, nested, runs, scale, minutes, describe, progress } = context;
  if (!nested) {
    const result = await measureData(context, ROW_SECONDS.usual, minutes);
    if (page !== undefined) writeFileSync(page, dataPage(result, describe(), runs));
    return OWN.flatMap((own) => rowsOf(result, own));
  }
  const { host, virtme, data, took, loadAfter } = await measureNested(context);
  if (page !== undefined) {
    const machine = describe({ ...host, virtme });
    writeFileSync(page, nestedPage(data, { machine, runs, scale, minutes, took, loadAfter }));
  }
  progress(`${took} minutes in all; load ${host.load.toFixed(2)} before and ${loadAfter.toFixed(2)} after`);
  return OWN.flatMap((own) => rowsOf(data, { ...own, title: `KVM, nested; ${own.title}` }));
}

/** The rows of one sandbox, beside the others. */
export function rowsOf({ rows, amounts, cells }: DataResult, { system, title: which, bare }: Own): Row[] {
  const at = (one: SystemName | undefined, name: string) => one && cells.get(one)?.get(name);
  const named = [
    ...rows.map(({ name, what }) => ({ name, what })),
    { name: ECHOES, what: `${amounts.echoes} one-line echoes` },
  ];
  return named.flatMap(({ name, what }) => {
    const own = at(system, name);
    if (own === undefined) return [];
    const full = `${what} (${which})`;
    if ('failure' in own) return [{ what: full, skipped: own.failure }];
    if (own.isMore) return [{ what: full, skipped: `it takes more than ${own.quantity.amount} s` }];
    const beside: [string, Cell | undefined, number][] = [
      ['virtme-ng', best(at('virtme-virtiofs', name), at('virtme-9p', name)), MOST.virtme],
      ['bare QEMU', at(bare, name), MOST.bare],
    ];
    return beside.flatMap(([title, cell, most]) => {
      if (cell === undefined || 'failure' in cell) return [];
      const reference = { name: cell.isMore ? `${title}, more than` : title, ...cell.quantity };
      return name === ECHOES
        ? [timesTheRate(full, own.quantity, reference, Number((1 / most).toFixed(2)))]
        : [timesAsLong(full, own.quantity, reference, most)];
    });
  });
}
