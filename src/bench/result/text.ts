/** Results as text for a terminal. */
import { type HostFacts, hostText } from '../run/host.js';
import type { Unit } from '../run/sample.js';
import { amount } from '../run/series.js';
import { NESTED_MEANING } from '../run/setting.js';
import { kindsText } from '../timeline/exits.js';
import type { Where } from '../timeline/span.js';
import type { Comparison, Result, VariantResult } from './result.js';
import { ENOUGH, noise, type Summary } from './statistics.js';

export function resultText(result: Result): string {
  const { variants, comparisons, unit, host, interrupted } = result;
  const lines = [hostText(host), '', ...settingLines(host)];
  if (interrupted) lines.push('Interrupted: this is what was measured until then.', '');
  lines.push(...table([HEAD, ...variants.map((variant) => cells(variant, unit))]), '');
  for (const variant of variants) lines.push(...remarks(variant, unit));
  lines.push(...comparisons.map((one) => comparisonText(one)));
  return `${lines.join('\n').trimEnd()}\n`;
}

/** What the figures of a special setting stand for; empty for the usual one. */
export function settingLines({ nested }: HostFacts): string[] {
  return nested ? [NESTED_MEANING, ''] : [];
}

/** Parts with a smaller share get no line. */
const LEAST_SHARE = 0.001;

const HEAD = ['', 'runs', 'min', 'median', '95 % interval', 'p95', 'noise'];

function cells({ label, summary, values }: VariantResult, unit: Unit): string[] {
  if (summary === null) return [label, '0'];
  const { runs, min, median, p95 } = summary;
  return [
    label,
    String(runs),
    ...[amount(min, unit), amount(median, unit), intervalText(summary, unit), amount(p95, unit)],
    noiseText(values, unit),
  ];
}

/** How much a single run varies; empty for fewer than three runs. */
export function noiseText(values: readonly number[], unit: Unit): string {
  return values.length < 3 ? '' : `${(noise(values) * 100).toFixed(unit === 's' ? 1 : 3)} %`;
}

/** The outliers among the runs. */
export function outlyingText({ summary, values }: VariantResult, unit: Unit): string {
  return (summary?.outliers ?? []).map((at) => amount(values[at] ?? 0, unit)).join(', ');
}

/** Rows of the larger parts: name, amount, share. */
export function partRows({ summary, parts }: VariantResult, unit: Unit): string[][] {
  if (summary === null) return [];
  return Object.entries(parts)
    .filter(([, value]) => value / summary.median >= LEAST_SHARE)
    .map(([name, value]) => [name, amount(value, unit), percent(value / summary.median)]);
}

function remarks(variant: VariantResult, unit: Unit): string[] {
  const { label, summary, failure } = variant;
  if (failure !== undefined) return [`${label} is left out: ${failure}`, ''];
  if (summary === null) return [];
  const outlying = outlyingText(variant, unit);
  const indented = (rows: readonly string[][]) => table(rows.map(([name, ...figures]) => [`  ${name}`, ...figures]));
  const rows = partRows(variant, unit);
  const overhead = overheadRows(variant, unit);
  return [
    ...(outlying === '' ? [] : [`${label}: outliers: ${outlying}`, '']),
    ...(rows.length > 0 ? [`${label}, medians of its parts:`, ...indented(rows), ''] : []),
    ...exitLines(variant),
    ...(overhead.length > 0 ? [`${label}, time outside QEMU and the guest:`, ...indented(overhead), ''] : []),
  ];
}

/** One line on exits to KVM: how many there were, or why they were not counted. Empty under emulation. */
export function exitLines({ label, exits, noExits }: VariantResult): string[] {
  if (exits !== undefined) {
    const all = Math.round(exits['exits'] ?? 0);
    return [`${label}, median of its exits to KVM: ${all} (${kindsText(exits)})`, ''];
  }
  return noExits === undefined ? [] : [`${label}: exits to KVM are not counted: ${noExits}`, ''];
}

/** Who spends the time that neither QEMU nor the guest takes. */
const BESIDE: readonly (Where | undefined)[] = ['host', 'libvirt', 'unexplained'];

/**
 * The overhead of a warm start, which Node.js, libvirt and the end of the machine take: the sum, then each part. Rows
 * of name, where, amount, share.
 */
export function overheadRows({ summary, parts, where = {}, timeline }: VariantResult, unit: Unit): string[][] {
  if (summary === null || timeline?.start !== 'warm') return [];
  const beside = Object.entries(parts).filter(([name]) => BESIDE.includes(where[name]));
  const sum = beside.reduce((total, [, value]) => total + value, 0);
  const row = (name: string, who: string, value: number) => [
    name,
    who,
    amount(value, unit),
    percent(value / summary.median),
  ];
  return [row('sum', '', sum), ...beside.map(([name, value]) => row(name, where[name] ?? '', value))];
}

export function comparisonText({ label, against, ratio, low, high, verdict }: Comparison): string {
  const said = {
    faster: `${percent(1 - ratio)} less than`,
    slower: `${percent(ratio - 1)} more than`,
    undecided: 'not told apart from',
  }[verdict];
  return `${label}: ${ratio.toFixed(3)} × (${low.toFixed(3)} – ${high.toFixed(3)}), ${said} ${against}`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(Math.abs(share) < 0.01 ? 2 : 1)} %`;
}

/** The first two lines of a failure: how the program ended, and the first line of its stderr. */
export function failureLine(failure: string): string {
  return failure.split('\n').slice(0, 2).join(' ');
}

/** Confidence interval of the median; empty for too few runs. */
export function intervalText({ runs, low, high }: Summary, unit: Unit): string {
  return unit === 's' && runs < ENOUGH ? '' : `${amount(low, unit)} – ${amount(high, unit)}`;
}

/** Pads the cells to columns; the first column is aligned left, the others right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
