/** Results over time, in a file of JSON lines that only grows. */
import { appendFileSync, closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { baseDirectory } from '../../util/home.js';
import { parseJson } from '../../util/records.js';
import { amount } from '../run/series.js';
import { baselineFor, hostSchema, type Result } from './result.js';
import { table } from './text.js';

const entrySchema = v.object({
  date: v.string(),
  version: v.string(),
  label: v.string(),
  profile: v.string(),
  options: v.pipe(v.array(v.string()), v.readonly()),
  /** The change to the profile, if there was one, such as `without quiet`. */
  change: v.optional(v.string()),
  unit: v.picklist(['s', 'instructions']),
  runs: v.number(),
  median: v.number(),
  low: v.number(),
  high: v.number(),
  /** Median of the baseline that was measured beside it. */
  floor: v.optional(v.number()),
  ...v.omit(hostSchema, ['load']).entries,
});

export type HistoryEntry = Readonly<v.InferOutput<typeof entrySchema>>;

/** @throws {SandboxError} `home-unknown` */
export function historyFile(): string {
  return join(baseDirectory('XDG_DATA_HOME'), 'libvirt-sandbox', 'bench.jsonl');
}

/** One line for each variant that has values and a profile. */
export function entriesOf({ kind, date, version, host, unit, variants }: Result): HistoryEntry[] {
  const { load: _load, ...machine } = host;
  const changes = kind === 'ablate' || kind === 'tune';
  return variants.flatMap((variant, at) => {
    const { label, profile, options, summary } = variant;
    if (summary === null || profile === undefined) return [];
    const { runs, median, low, high } = summary;
    const baseline = baselineFor(variant, variants)?.summary?.median;
    const changed = changes && at > 0 ? { change: label } : {};
    const beside = baseline === undefined ? {} : { floor: baseline };
    const what = { date, version, label, profile, options, ...changed };
    return [{ ...what, unit, runs, median, low, high, ...beside, ...machine }];
  });
}

/** Appends one line for each entry. Each line is one write, so that two programs can append at the same time. */
export function appendHistory(path: string, result: Result): void {
  makeDirectories(dirname(path));
  // A full disk may have left half a line; begin a new one.
  let before = endsWithinLine(path) ? '\n' : '';
  for (const entry of entriesOf(result)) {
    appendFileSync(path, `${before}${JSON.stringify(entry)}\n`);
    before = '';
  }
}

function endsWithinLine(path: string): boolean {
  const file = openSync(path, 'a+');
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString('latin1') !== '\n';
  } finally {
    closeSync(file);
  }
}

/**
 * Reads the entries; none if there is no such file. Lines that are no entries, such as half a line after a full disk,
 * are counted and left out.
 */
export function readHistory(path: string): { readonly entries: readonly HistoryEntry[]; readonly unreadable: number } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return { entries: [], unreadable: 0 };
    throw error;
  }
  const lines = text.split('\n').filter((line) => line !== '');
  const entries = lines.flatMap(parseEntry);
  return { entries, unreadable: lines.length - entries.length };
}

function parseEntry(line: string): HistoryEntry[] {
  const checked = v.safeParse(entrySchema, parseJson(line));
  return checked.success ? [checked.output] : [];
}

/**
 * Groups entries that can be compared over time: the same profile, change and options, in the same unit, on the same
 * host.
 */
export function trends(entries: readonly HistoryEntry[]): Map<string, HistoryEntry[]> {
  const groups = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    const { profile, change, options, unit, model, processors, acceleration, connection, nested } = entry;
    const which = change === undefined ? profile : `${profile}, ${change}`;
    const host = `${connection}, ${processors} × ${model}, ${acceleration}${nested ? ' (nested)' : ''}`;
    const key = `${which}: ${options.join(' ')} · ${unit} · ${host}`;
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  return groups;
}

const TICKS = '▁▂▃▄▅▆▇█';

/** For each trend a line of bars, and its entries below. */
export function historyText(entries: readonly HistoryEntry[]): string {
  const blocks = [...trends(entries)].map(([key, group]) => {
    const most = Math.max(...group.map(({ median }) => median));
    const bars = group.map(({ median }) => TICKS[Math.max(0, Math.ceil((median / most) * TICKS.length) - 1)]).join('');
    const rows = group.map(({ date, version, kernel, qemu, libvirt, median, low, high, floor: baseline, unit }, at) => {
      const before = group[at - 1];
      const change = before ? `${((median / before.median - 1) * 100).toFixed(1)} %` : '';
      const interval = `${amount(low, unit)} – ${amount(high, unit)}`;
      return [
        date.slice(0, 16),
        version,
        kernel,
        `QEMU ${qemu}`,
        `libvirt ${libvirt}`,
        amount(median, unit),
        interval,
        change,
        baseline === undefined ? '' : `${(median / baseline).toFixed(2)} × the floor`,
      ];
    });
    return `${key}\n${bars}\n${table(rows).join('\n')}\n`;
  });
  return blocks.length === 0 ? 'Nothing has been measured yet.\n' : blocks.join('\n');
}
