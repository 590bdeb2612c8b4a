/** Results of a program on stdout, for a person or a program. */
import { Printer, print } from './terminal/output.js';

export async function printJson(value: unknown): Promise<void> {
  await print(jsonText(value));
}

/**
 * JSON on lines. Characters that a terminal acts on, or that change how others look, are escaped, since texts may be
 * another user's.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, null, 2).replace(
    // The line feeds are those between the values: inside of them JSON has escaped all below U+0020.
    /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => letter.split('').map(escaped).join(''),
  );
  return `${text}\n`;
}

/** One half of a character beyond U+FFFF is a unit, too. */
function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export async function printLines(lines: readonly string[]): Promise<void> {
  await print(lines.map((line) => `${line}\n`).join(''));
}

/** How much is put together before it is written, in letters. */
const PIECE = 1 << 16;

/** Writes text that may be longer than a string can be. */
export async function printPieces(pieces: Iterable<string>): Promise<void> {
  const printer = new Printer();
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE) continue;
    await printer.write(text);
    text = '';
  }
  await printer.write(text);
  await printer.flush();
}

/** An object of lists of texts, as {@link jsonText} would write it, in pieces. */
export function* jsonOfLists(lists: Readonly<Record<string, Iterable<string>>>): Generator<string> {
  let before = '{\n';
  for (const [key, list] of Object.entries(lists)) {
    yield `${before}  ${JSON.stringify(key)}: [`;
    let between = '\n';
    for (const each of list) {
      yield `${between}    ${jsonText(each).trimEnd()}`;
      between = ',\n';
    }
    yield between === '\n' ? ']' : '\n  ]';
    before = ',\n';
  }
  yield before === '{\n' ? '{}\n' : '\n}\n';
}

/** Rows as lines with aligned columns; the last column has no fixed width. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  // Not Math.max(...lengths): an initrd may have more entries than a call takes arguments.
  const widths = (rows[0] ?? []).map((_, at) => rows.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), 0));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What fits in `width` columns, with `…` in place of the rest. */
export function shortened(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width ? text : `${letters.slice(0, width - 1).join('')}…`;
}

/** Bytes for a person, in powers of ten: `44.2 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'] as const;
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** How long ago, for a person, in the largest unit that fits: `5 min ago`. */
export function ago(when: Date, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - when.getTime()) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
