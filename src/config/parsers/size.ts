/** Amounts of memory: `64M`, `2GiB`, and numbers without a suffix. */
import { argumentError, quote } from '../errors.js';

/** Bytes, or a whole number with a binary suffix: `512M`, `2GiB`. */
export type Size = number | `${number}${'K' | 'KiB' | 'M' | 'MiB' | 'G' | 'GiB'}`;

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const UNITS: ReadonlyMap<string, number> = new Map([
  ['k', KIB],
  ['kib', KIB],
  ['m', MIB],
  ['mib', MIB],
  ['g', GIB],
  ['gib', GIB],
]);

/**
 * Reads an amount of memory: a whole number, then K, KiB, M, MiB, G or GiB in any case; all are powers of 1024.
 * @param option the name of the option, for messages: `--memory`
 * @param unit the unit of a number without a suffix, in bytes
 * @returns bytes, at least 1 and exact
 * @throws SandboxError `size-invalid` for anything else, `size-zero` for 0, `size-too-large` above 2^53 - 1 bytes
 */
export function parseSize(text: string, option: string, unit: number): number {
  const match = /^([0-9]+)([A-Za-z]*)$/.exec(text);
  const suffix = match?.[2]?.toLowerCase() ?? '';
  const factor = suffix === '' ? unit : UNITS.get(suffix);
  if (match === null || factor === undefined) {
    throw argumentError(
      'size-invalid',
      `${option} cannot be ${quote(text)}`,
      'give a whole number, alone or with K, KiB, M, MiB, G or GiB',
    );
  }
  const bytes = Number(match[1]) * factor;
  if (bytes === 0) throw argumentError('size-zero', `${option} cannot be ${quote(text)}`, 'give a size above 0');
  if (!Number.isSafeInteger(bytes)) {
    throw argumentError(
      'size-too-large',
      `${option} ${quote(text)} is more than can be counted`,
      'give a smaller size',
    );
  }
  return bytes;
}

/**
 * Reads `--memory`. A number without a suffix is MiB, as users of virt-install and QEMU expect; nobody means 512 bytes.
 * @param option the name of the option, for messages
 * @returns bytes
 * @throws SandboxError as {@link parseSize}
 */
export function parseMemory(text: string, option: string): number {
  return parseSize(text, option, MIB);
}
