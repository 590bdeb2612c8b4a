/** One line of the result: what was measured, against what, and whether that is enough. */
import type { Summary } from '../../src/bench/result/statistics.js';

export type Unit = 's' | 'ms' | 'MiB/s' | 'MB' | '/s';

export interface Quantity {
  readonly amount: number;
  readonly unit: Unit;
  /** Of the runs that the amount is the median of. */
  readonly min?: number;
  readonly max?: number;
  readonly runs?: number;
}

/** A quantity to compare with. */
export interface Reference extends Quantity {
  readonly name: string;
}

export interface Row {
  readonly what: string;
  readonly value?: Quantity;
  readonly reference?: Reference;
  readonly ratio?: number;
  /** What the ratio, or the value where there is none, must not exceed or fall short of. */
  readonly limit?: { readonly most?: number; readonly least?: number };
  readonly met?: boolean;
  /** Why there is no value. */
  readonly skipped?: string;
}

/** A median with what it is the median of; `scale` turns the summary's unit into the quantity's. */
export function quantity(summary: Summary, unit: Unit, scale = 1): Quantity {
  const { median, min, max, runs } = summary;
  return { amount: median * scale, unit, min: min * scale, max: max * scale, runs };
}

/** A time that may be at most `most` times that of the reference. */
export function timesAsLong(what: string, value: Quantity, reference: Reference, most: number): Row {
  const ratio = value.amount / reference.amount;
  return { what, value, reference, ratio, limit: { most }, met: ratio <= most };
}

/** A time that must be at least `least` times shorter than that of the reference. */
export function timesFaster(what: string, value: Quantity, reference: Reference, least: number): Row {
  const ratio = reference.amount / value.amount;
  return { what, value, reference, ratio, limit: { least }, met: ratio >= least };
}

/** A rate that must be at least `least` times that of the reference. */
export function timesTheRate(what: string, value: Quantity, reference: Reference, least: number): Row {
  const ratio = value.amount / reference.amount;
  return { what, value, reference, ratio, limit: { least }, met: ratio >= least };
}

/** A value with a limit of its own. */
export function within(what: string, value: Quantity, most: number): Row {
  return { what, value, limit: { most }, met: value.amount <= most };
}

/** A value that has no limit; `reference` shows how it compares. */
export function forInformation(what: string, value: Quantity, reference?: Reference): Row {
  return reference ? { what, value, reference, ratio: value.amount / reference.amount } : { what, value };
}
