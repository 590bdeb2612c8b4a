/** What a series of measurements says. */

export interface Summary {
  readonly runs: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /** Half of the runs lie within this distance of the median: what the machine's other work adds once does not show in it. */
  readonly spread: number;
}

/** @throws {RangeError} for no values, or for one that is not a finite number */
export function summarize(values: readonly number[]): Summary {
  if (!values.every(Number.isFinite)) throw new RangeError('a measurement is not a finite number');
  const center = median(values);
  return {
    runs: values.length,
    min: Math.min(...values),
    median: center,
    max: Math.max(...values),
    spread: median(values.map((value) => Math.abs(value - center))),
  };
}

/** @throws {RangeError} for no values */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError('there is nothing to take the median of');
  return (lower + upper) / 2;
}
