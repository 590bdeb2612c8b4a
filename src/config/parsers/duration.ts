/** Times with a unit: `500ms`, `5s`, `2m`, `1h`. */
import { argumentError, quote } from '../errors.js';

/** Milliseconds, or a number with a unit: `500ms`, `5s`, `2m`, `1.5h`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`;

/** A day, in milliseconds. */
export const MOST_BOOT_TIMEOUT = 86_400_000;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads a time: a number, with or without decimals, and its unit.
 * @param name the name of the option, for messages
 * @param most the longest that is allowed, in milliseconds
 * @returns whole milliseconds, at least 1
 * @throws SandboxError `duration-invalid`
 */
export function parseDuration(text: string, name: string, most: number): number {
  const [, number = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const milliseconds = Math.round(Number(number) * (UNITS[unit] ?? Number.NaN));
  if (milliseconds >= 1 && milliseconds <= most) return milliseconds;
  throw argumentError(
    'duration-invalid',
    `${name} cannot be ${quote(text)}`,
    `give a time as 500ms, 5s, 2m or 1h, and no longer than ${Math.floor(most / 3_600_000)}h`,
  );
}

/**
 * What a program gave: a text is read, and everything else stays for the check of its type.
 * @throws SandboxError as {@link parseDuration}
 */
export function inMilliseconds<T>(value: T, name: string, most: number): Exclude<T, string> | number {
  return typeof value === 'string' ? parseDuration(value, name, most) : (value as Exclude<T, string>);
}
