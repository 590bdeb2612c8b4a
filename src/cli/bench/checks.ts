/** Values of virt-sandbox-bench's options: checked before anything is measured, which may take hours. */
import type { Result } from '../../bench/result/result.js';

/** @throws {Error} unless `value` is a whole number from `least` on, or not given */
export function checkCount(option: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return;
  throw new Error(`${option} takes a whole number from ${least} on`);
}

/**
 * Reads --threshold: `5%` or `0.05`.
 * @throws {Error} for anything else
 */
export function thresholdOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new Error(`--threshold takes a share such as 5%, and not ${text}`);
  return value;
}

/**
 * The exit status for --threshold: 1 for a regression. The confidence interval must say that it is slower, and the
 * median that it is slower by more than the threshold. Comparisons with a bare QEMU do not count.
 */
export function regressionStatus(result: Result, threshold: number | undefined): 0 | 1 {
  if (threshold === undefined) return 0;
  const baselines = new Set(result.variants.filter(({ floorOf }) => floorOf !== undefined).map(({ label }) => label));
  const compared = result.comparisons.filter(({ against }) => !baselines.has(against));
  return compared.some(({ verdict, ratio }) => verdict === 'slower' && ratio > 1 + threshold) ? 1 : 0;
}
