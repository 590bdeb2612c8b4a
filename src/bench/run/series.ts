/** Many runs of several variants, in turns. */
import { inOrderOf } from './order.js';
import { Interrupted } from './process.js';
import type { Say } from './progress.js';
import { type Sample, type SampleOptions, takeSample, type Unit } from './sample.js';
import type { Variant } from './variant.js';

export interface SeriesOptions extends Omit<SampleOptions, 'inDetail'> {
  readonly runs: number;
  /** Runs of each variant before those; they do not count. */
  readonly warmUp: number;
  readonly say: Say;
}

export interface Series {
  readonly variant: Variant;
  readonly samples: readonly Sample[];
  /** Why there are fewer runs than requested. */
  readonly failure: string | undefined;
}

export interface Measured {
  readonly series: readonly Series[];
  readonly interrupted: boolean;
}

/**
 * Measures variants in turns, so that other work of the machine affects all alike, each round in another order. A
 * variant that fails is reported and left out from then on. An interruption ends the measurement; the results so far
 * are returned.
 */
export async function measureInTurns(variants: readonly Variant[], options: SeriesOptions): Promise<Measured> {
  const { runs, warmUp, say } = options;
  const samples = new Map<Variant, Sample[]>(variants.map((variant) => [variant, []]));
  const failures = new Map<Variant, string>();
  let interrupted = false;
  rounds: for (let round = 1 - warmUp; round <= runs; round += 1) {
    for (const variant of inOrderOf(round - 1 + warmUp, variants).filter((one) => !failures.has(one))) {
      try {
        const sample = await takeSample(variant, { ...options, inDetail: false });
        const which = round < 1 ? 'warm-up' : `${round}/${runs}`;
        say(`${variant.label} ${which}: ${amount(sample.value, options.unit)}`);
        if (round >= 1) samples.get(variant)?.push(sample);
      } catch (error) {
        if (error instanceof Interrupted) {
          interrupted = true;
          break rounds;
        }
        const message = error instanceof Error ? error.message : String(error);
        say(`${variant.label} is left out: ${message}`);
        failures.set(variant, message);
      }
    }
  }
  const series = variants.map((variant) => ({
    variant,
    samples: samples.get(variant) ?? [],
    failure: failures.get(variant),
  }));
  return { series, interrupted };
}

/** The value with its unit, for people. */
export function amount(value: number, unit: Unit): string {
  if (unit === 'instructions') return `${(value / 1e6).toFixed(1)} M instructions`;
  return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : `${value.toFixed(3)} s`;
}
