/** Whole numbers and durations. */
import { argumentError, quote } from '../errors.js';

/**
 * Reads a whole decimal number.
 * @param option the name of the option, for messages
 * @param minimum the smallest allowed, and `maximum` the largest
 * @throws SandboxError `number-invalid` for anything else
 */
export function parseWhole(text: string, option: string, minimum: number, maximum: number): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= minimum && value <= maximum)) {
    throw argumentError(
      'number-invalid',
      `${option} cannot be ${quote(text)}`,
      `give a whole number from ${minimum} to ${maximum}`,
    );
  }
  return value;
}

/**
 * Reads a duration in seconds, with or without decimals: `60`, `2.5`. At most a day.
 * @returns milliseconds, at least 1
 * @throws SandboxError `duration-invalid`
 */
export function parseSeconds(text: string, option: string): number {
  const milliseconds = /^[0-9]+(\.[0-9]+)?$/.test(text) ? Math.round(Number(text) * 1000) : Number.NaN;
  if (!(milliseconds >= 1 && milliseconds <= 86_400_000)) {
    throw argumentError(
      'duration-invalid',
      `${option} cannot be ${quote(text)}`,
      'give a number of seconds above 0 and up to 86400',
    );
  }
  return milliseconds;
}
