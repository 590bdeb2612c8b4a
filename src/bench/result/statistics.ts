/** Statistics of one series of measurements, and the comparison of two. */

export interface Summary {
  readonly runs: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  /**
   * Median absolute deviation: half of the runs lie within this distance of the median. A single disturbed run does not
   * show in it.
   */
  readonly spread: number;
  /** 95 % confidence interval of the median. Of fewer than five values it only shows how far they lie apart. */
  readonly low: number;
  readonly high: number;
  /** Positions of outliers among the runs. */
  readonly outliers: readonly number[];
}

export type Verdict = 'faster' | 'slower' | 'undecided';

/** How one series compares with another. */
export interface Difference {
  /** Ratio of the medians: below 1, this series is the lower one. */
  readonly ratio: number;
  /** 95 % confidence interval of the ratio. */
  readonly low: number;
  readonly high: number;
  /** `undecided` if the interval contains 1, or there are too few values. */
  readonly verdict: Verdict;
}

/**
 * A verdict needs this many values of each series. With five values, two series of the same thing get a false verdict
 * once in thirty times; with four, once in fourteen (a test counts).
 */
export const ENOUGH = 5;
const RESAMPLES = 2000;
const SEED = 0x5eed;
/** Turns a median absolute deviation into the standard deviation of a normal distribution. */
const TO_DEVIATION = 1.4826;
/**
 * An outlier is more than this many standard deviations away from the median. Iglewicz and Hoaglin, How to Detect and
 * Handle Outliers, 1993.
 */
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

/** Positions of the outliers. Fewer than four values have none. */
export function outliersOf(values: readonly number[]): number[] {
  if (values.length < 4) return [];
  const center = median(values);
  const allowed = OUTLYING * TO_DEVIATION * deviation(values);
  return values.flatMap((value, index) => (Math.abs(value - center) > allowed ? [index] : []));
}

/** How much a single run varies, as a share of the median: 0.02 is 2 %. */
export function noise(values: readonly number[]): number {
  return (TO_DEVIATION * deviation(values)) / median(values);
}

/**
 * Compares two series. The interval comes from a bootstrap with a fixed seed, so the same values give the same
 * interval.
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

/** Counted instructions are taken to be at least this inexact, as a share. */
const LEAST_ERROR = 0.0002;

/**
 * Compares two series of counted instructions. They hardly vary, so a bootstrap would add nothing; the range of
 * `against` is taken for the error of the ratio.
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

/** Pseudorandom numbers from 0 to 1, the same for the same seed: the generator mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
