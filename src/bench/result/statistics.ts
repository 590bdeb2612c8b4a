/** What a series of measurements says, and what two say of each other. */

export interface Summary {
  readonly runs: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  /** Half of the runs lie within this distance of the median: what the machine's other work adds once does not show in it. */
  readonly spread: number;
  /** Where the median lies, with 95 % confidence; of fewer than five values only how far they lie apart. */
  readonly low: number;
  readonly high: number;
  /** Positions of the runs that stand out. */
  readonly outliers: readonly number[];
}

export type Verdict = 'faster' | 'slower' | 'undecided';

/** How a series compares with another. */
export interface Difference {
  /** Of the medians: below 1 is less than the other. */
  readonly ratio: number;
  /** Where the ratio lies, with 95 % confidence. */
  readonly low: number;
  readonly high: number;
  /** Only where the interval leaves no doubt. */
  readonly verdict: Verdict;
}

/**
 * Of fewer values no sample says how they vary. With so many, two series of the same are told apart once in thirty times, and with four once in
 * fourteen (a test counts).
 */
export const ENOUGH = 5;
const RESAMPLES = 2000;
const SEED = 0x5eed;
/** A normal distribution's standard deviation in terms of the median of its absolute deviations. */
const TO_DEVIATION = 1.4826;
/** Farther from the median than so many standard deviations is an outlier. Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993. */
const OUTLYING = 3.5;

/** @throws {RangeError} for no values, or for one that is not a finite number */
export function summarize(values: readonly number[]): Summary {
  if (!values.every(Number.isFinite)) throw new RangeError('a measurement is not a finite number');
  const center = median(values);
  const random = generator(SEED);
  const [low, high] = interval(repeat(RESAMPLES, () => median(resample(values, random))));
  return {
    runs: values.length,
    min: Math.min(...values),
    median: center,
    p95: quantile(values, 0.95),
    max: Math.max(...values),
    spread: deviation(values),
    low,
    high,
    outliers: outliersOf(values),
  };
}

/** @throws {RangeError} for no values */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value below which `share` of the values lie, by linear interpolation between neighbours.
 * @param share 0 to 1
 * @throws {RangeError} for no values
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const lower = sorted[Math.floor(at)];
  const upper = sorted[Math.ceil(at)];
  if (lower === undefined || upper === undefined) throw new RangeError('there is nothing to take the median of');
  return lower + (upper - lower) * (at - Math.floor(at));
}

/** Positions of values that are farther from the median than chance would have them. Fewer than four values have none. */
export function outliersOf(values: readonly number[]): number[] {
  if (values.length < 4) return [];
  const center = median(values);
  const allowed = OUTLYING * TO_DEVIATION * deviation(values);
  return values.flatMap((value, index) => (Math.abs(value - center) > allowed ? [index] : []));
}

/** How much a single run varies, as a share of the median: 0.02 is two per cent. */
export function noise(values: readonly number[]): number {
  return (TO_DEVIATION * deviation(values)) / median(values);
}

/**
 * Compares two series. The interval is found by taking samples of both again and again; the same values give the same interval.
 * @throws {RangeError} for no values
 */
export function difference(values: readonly number[], against: readonly number[]): Difference {
  const ratio = median(values) / median(against);
  const random = generator(SEED);
  const [low, high] = interval(
    repeat(RESAMPLES, () => median(resample(values, random)) / median(resample(against, random))),
  );
  const enough = Math.min(values.length, against.length) >= ENOUGH;
  return { ratio, low, high, verdict: enough ? verdictOf(low, high) : 'undecided' };
}

/** At least so inexact is taken to be what counts instructions, as a share. */
const LEAST_ERROR = 0.0002;

/**
 * Compares two series of counted instructions. Of values that differ by next to nothing no sample says more than the values themselves, so the interval
 * is how far those that are compared with lie apart.
 * @throws {RangeError} for no values
 */
export function exactDifference(values: readonly number[], against: readonly number[]): Difference {
  const center = median(against);
  const error = Math.max(LEAST_ERROR, (Math.max(...against) - Math.min(...against)) / center);
  const ratio = median(values) / center;
  const [low, high] = [ratio - error, ratio + error];
  return { ratio, low, high, verdict: verdictOf(low, high) };
}

function verdictOf(low: number, high: number): Verdict {
  return high < 1 ? 'faster' : low > 1 ? 'slower' : 'undecided';
}

function deviation(values: readonly number[]): number {
  const center = median(values);
  return median(values.map((value) => Math.abs(value - center)));
}

function interval(estimates: readonly number[]): [number, number] {
  return [quantile(estimates, 0.025), quantile(estimates, 0.975)];
}

function resample(values: readonly number[], random: () => number): number[] {
  return values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN);
}

function repeat<T>(times: number, make: () => T): T[] {
  return Array.from({ length: times }, make);
}

/** Numbers from 0 to 1 that look random and are the same every time: the generator mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
