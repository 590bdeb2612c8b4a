/** Limits of memory, and huge pages: libvirt's `memtune` and `memoryBacking`. */
import { argumentError, quote } from '../errors.js';
import { KIB, MIB, parseSize } from './size.js';

/** Bytes. Above this the KiB of libvirt are no limit (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, 2^53 - 1). */
export const MOST_MEMORY_LIMIT = 2 ** 52;

/**
 * Reads `--memory-limit`, `--memory-soft-limit` or `--memory-swap-limit`. A number without a suffix is MiB.
 * @returns bytes, rounded up to KiB, which libvirt counts in
 * @throws SandboxError as {@link parseSize}; `size-too-large` above {@link MOST_MEMORY_LIMIT}
 */
export function parseMemoryLimit(text: string, option: string): number {
  const bytes = Math.ceil(parseSize(text, option, MIB) / KIB) * KIB;
  if (bytes <= MOST_MEMORY_LIMIT) return bytes;
  throw argumentError('size-too-large', `${option} ${quote(text)} is more than any host has`, 'leave it out');
}

/**
 * Reads `--huge-pages default|SIZE`, such as `2M` or `1G`. A number without a suffix is MiB.
 * @returns bytes
 * @throws SandboxError as {@link parseSize}; `huge-pages-invalid` for a size that is no power of 2 of at least 16 KiB
 */
export function parseHugePages(text: string): number | 'default' {
  if (text === 'default') return text;
  const bytes = parseSize(text, '--huge-pages', MIB);
  if (bytes >= 16 * KIB && Number.isInteger(Math.log2(bytes))) return bytes;
  throw argumentError(
    'huge-pages-invalid',
    `--huge-pages cannot be ${quote(text)}`,
    'write default, or a size that the host has: ls /sys/kernel/mm/hugepages',
  );
}
