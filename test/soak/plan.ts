/** What a run does is decided before it starts, by its seed alone: the same seed gives the same run. */
import { type Random, randomNumbers } from '../fuzz/random.js';

export class Choices {
  readonly seed: number;
  readonly #next: Random;

  /** @param seed a whole number from 0 */
  constructor(seed: number) {
    this.seed = seed;
    // The generator takes no 0.
    this.#next = randomNumbers(mix(seed) || 1);
  }

  /** A whole number from 0 up to but not including `limit`. */
  below(limit: number): number {
    return this.#next(limit);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in `percent` of all cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  one<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }
}

/** Neighbouring seeds give unlike numbers: the finalizer of MurmurHash3. */
function mix(seed: number): number {
  let value = seed >>> 0;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** The seeds of `count` runs: run N of a soak has the seed of the whole plus N, and repeats alone with that. */
export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => (first + index) >>> 0);
}
