/** Unpacks a compressed part of an initrd. Where the part ends is known only once it is unpacked. */

import { type FormatName, unpackPart } from '../../compression/formats.js';
import { hasMagic } from '../../compression/magic.js';
import type { UnpackedPart } from '../../compression/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { ArchiveError } from './types.js';

/** Formats that look usable and that no kernel reads as an initrd. */
const UNSUPPORTED: readonly (readonly [string, readonly number[]])[] = [
  ['the lz4 frame that no kernel unpacks', [0x04, 0x22, 0x4d, 0x18]],
  ['an old kind of cpio (odc) that no kernel reads', [0x30, 0x37, 0x30, 0x37, 0x30, 0x37]],
  ['an old kind of cpio (binary) that no kernel reads', [0xc7, 0x71]],
];

/** What is at byte `at`, if it is a known format that no kernel reads; undefined otherwise. */
export function unsupportedAt(data: Buffer, at: number): string | undefined {
  return UNSUPPORTED.find(([, magic]) => hasMagic(data, at, magic))?.[0];
}

/**
 * Unpacks the part that `data` begins with; anything may follow.
 *
 * @param limit Most bytes that may come out; default: {@link UNPACKED_LIMIT}.
 * @throws {ArchiveError} when the part is damaged or cut off.
 * @throws {SandboxError} `zstd-missing`, `decompressor-missing`
 */
export async function decompress(data: Buffer, format: FormatName, limit?: number): Promise<UnpackedPart> {
  try {
    return await unpackPart(data, format, limit);
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw new ArchiveError(`the ${format} data cannot be unpacked: ${messageOf(error)}`);
  }
}
