/** One row of the result: a value, its reference, and whether it keeps its limit. */
import type { Summary } from '../../src/bench/result/statistics.js';

/** `''`: a number of things. */
export type Unit = 's' | 'ms' | 'MiB/s' | 'MB' | 'MiB' | '/s' | '';

export interface Quantity {
  readonly amount: number;
  readonly unit: Unit;
  /** Least of the runs; `amount` is their median. */
  readonly min?: number;
  readonly max?: number;
  readonly runs?: number;
}

/** The quantity to compare with. */
export interface Reference extends Quantity {
  readonly name: string;
}

export interface Row {
  readonly what: string;
  readonly value?: Quantity;
  readonly reference?: Reference;
  readonly ratio?: number;
  /** Limit of the ratio, or of the value if there is no ratio. */
  readonly limit?: { readonly most?: number; readonly least?: number };
  readonly met?: boolean;
  /** Why there is no value. */
  readonly skipped?: string;
}

/** The median of a summary, with its range. @param scale Factor from the summary's unit to the quantity's. */
export function quantity(summary: Summary, unit: Unit, scale = 1): Quantity {
  const { median, min, max, runs } = summary;
  return { amount: median * scale, unit, min: min * scale, max: max * scale, runs };
}

/** A time that may be at most `most` times that of the reference. */
export function timesAsLong(what: string, value: Quantity, reference: Reference, most: number): Row {
  const ratio = value.amount / reference.amount;
  return { what, value, reference, ratio, limit: { most }, met: ratio <= most };
}

/** A time that the reference must take at least `least` times as long as. */
export function timesFaster(what: string, value: Quantity, reference: Reference, least: number): Row {
  const ratio = reference.amount / value.amount;
  return { what, value, reference, ratio, limit: { least }, met: ratio >= least };
}

/** A rate that must be at least `least` times that of the reference. */
export function timesTheRate(what: string, value: Quantity, reference: Reference, least: number): Row {
  const ratio = value.amount / reference.amount;
  return { what, value, reference, ratio, limit: { least }, met: ratio >= least };
}

/** A value with an absolute limit. */
export function within(what: string, value: Quantity, most: number): Row {
  return { what, value, limit: { most }, met: value.amount <= most };
}

/** A value without a limit; `reference` shows how it compares. */
export function forInformation(what: string, value: Quantity, reference?: Reference): Row {
  return reference ? { what, value, reference, ratio: value.amount / reference.amount } : { what, value };
}
