/** Spans of a run, and sums of them. All times are microseconds since virt-sandbox was executed. */

/** Who spends the time. */
export type Where = 'host' | 'libvirt' | 'qemu' | 'guest' | 'measuring' | 'unexplained';

export interface Span {
  readonly name: string;
  readonly where: Where;
  readonly start: number;
  readonly end: number;
  /** Parts in order. They need not fill the span. */
  readonly parts: readonly Span[];
  /** A sentence for people, without a final full stop. */
  readonly note?: string;
  /** Exits to KVM by the names of its counters, where they were counted; those that are 0 are left out. */
  readonly exits?: Readonly<Record<string, number>>;
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

/** Anything shorter is no gap, in microseconds. */
const GAP = 1;

/**
 * Fills every gap between spans, and before the first and after the last, with a span `unexplained`.
 * @throws {RangeError} when spans overlap, which means that a measurement is wrong
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

/** Time of a span that is in none of its parts; 0 for a span without parts, whose name explains all of it. */
export function rest(one: Span): number {
  if (one.parts.length === 0) return 0;
  return Math.max(0, length(one) - one.parts.reduce((sum, part) => sum + length(part), 0));
}

/** Spans of the guest one after the other, from `start` on. Each part is a name and its microseconds. */
export function sequence(start: number, parts: readonly (readonly [string, number])[]): Span[] {
  let cursor = start;
  return parts.map(([name, microseconds]) => {
    const begin = cursor;
    cursor += microseconds;
    return span(name, 'guest', begin, cursor);
  });
}

/** Cuts parts at `end`: clocks differ by a little, and no part may end after the whole. */
export function within(parts: readonly Span[], end: number): Span[] {
  return parts.map((part) => ({ ...part, start: Math.min(part.start, end), end: Math.min(part.end, end) }));
}
