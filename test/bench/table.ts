/** The rows as a Markdown table. */
import { markdown } from '../../src/bench/result/markdown.js';
import type { Quantity, Row } from './row.js';

const HEAD = ['what', 'value', 'reference', 'ratio', 'limit', 'met'];

export function markdownTable(rows: readonly Row[]): string {
  return markdown(HEAD, rows.map(cells));
}

function cells(row: Row): string[] {
  const { value, reference, ratio, limit } = row;
  if (row.skipped !== undefined) return [row.what, `skipped: ${row.skipped}`, '', '', '', ''];
  const unit = ratio === undefined && value ? ` ${value.unit}` : ' ×';
  return [
    row.what,
    value ? quantityText(value) : '',
    reference ? `${reference.name}: ${quantityText(reference)}` : '',
    ratio === undefined ? '' : `${ratio.toFixed(2)} ×`,
    limit?.most !== undefined ? `≤ ${limit.most}${unit}` : limit?.least !== undefined ? `≥ ${limit.least}${unit}` : '',
    row.met === undefined ? '' : row.met ? 'yes' : '**no**',
  ];
}

function quantityText({ amount, unit, min, max, runs }: Quantity): string {
  const text = `${digits(amount)} ${unit}`;
  if (min === undefined || max === undefined || (runs ?? 1) < 2) return text;
  return `${text} (${digits(min)}–${digits(max)}, n=${runs})`;
}

/** Three significant digits, never an exponent. */
function digits(amount: number): string {
  if (amount === 0) return '0';
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(amount))));
  return amount.toFixed(Math.min(places, 4));
}
