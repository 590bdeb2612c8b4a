/** A stretch of a run, and how stretches add up. All times are microseconds since virt-sandbox was executed. */

export type Where = 'host' | 'libvirt' | 'qemu' | 'guest' | 'measuring' | 'unexplained';

export interface Span {
  readonly name: string;
  readonly where: Where;
  readonly start: number;
  readonly end: number;
  /** Its parts, in order. They need not fill it. */
  readonly parts: readonly Span[];
  /** For a person: a sentence without a final full stop. */
  readonly note?: string;
}

export function span(
  name: string,
  where: Where,
  start: number,
  end: number,
  parts: readonly Span[] = [],
  note?: string,
): Span {
  return { name, where, start, end, parts, ...(note === undefined ? {} : { note }) };
}

export function length({ start, end }: Pick<Span, 'start' | 'end'>): number {
  return end - start;
}

/** Less than this is no gap, in microseconds. */
const GAP = 1;

/**
 * Puts a span `unexplained` into every gap between spans that do not touch, and before the first and behind the last.
 * @throws {RangeError} when spans overlap or lie outside: then something is measured wrongly
 */
export function fillGaps(spans: readonly Span[], start: number, end: number): Span[] {
  const filled: Span[] = [];
  let cursor = start;
  for (const one of spans) {
    if (one.start < cursor - GAP || one.end < one.start) {
      throw new RangeError(
        `“${one.name}” begins ${(cursor - one.start).toFixed(0)} µs before what is in front of it ends`,
      );
    }
    if (one.start - cursor > GAP) filled.push(span('unexplained', 'unexplained', cursor, one.start));
    filled.push(one);
    cursor = one.end;
  }
  if (end - cursor > GAP) filled.push(span('unexplained', 'unexplained', cursor, end));
  return filled;
}

/** What is in no part of it; all of a span without parts is explained by its name. */
export function rest(one: Span): number {
  if (one.parts.length === 0) return 0;
  return Math.max(0, length(one) - one.parts.reduce((sum, part) => sum + length(part), 0));
}

/** Spans of the guest, by name and microseconds: one behind the other, from `start` on. */
export function sequence(start: number, parts: readonly (readonly [string, number])[]): Span[] {
  let cursor = start;
  return parts.map(([name, microseconds]) => {
    const begin = cursor;
    cursor += microseconds;
    return span(name, 'guest', begin, cursor);
  });
}

/** Clocks differ by a little; no part ends behind the whole. */
export function within(parts: readonly Span[], end: number): Span[] {
  return parts.map((part) => ({ ...part, start: Math.min(part.start, end), end: Math.min(part.end, end) }));
}
