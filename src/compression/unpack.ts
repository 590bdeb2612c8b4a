/**
 * What the bytes of a kernel or a module are packed with, told by their first bytes, and unpacking them.
 * Each decoder is loaded when it is first needed: finding an image in the store needs none.
 */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'lz4' | 'lzo';

/** No kernel and no module is larger than this, in bytes; what says so is damaged. */
export const UNPACKED_LIMIT = 1 << 30;

/** Beginning of a file of lzop. The kernel looks at two bytes of it; the others tell a file that went through as text. */
export const LZOP_MAGIC: readonly number[] = [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a];

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['none', [0x7f, 0x45, 0x4c, 0x46]],
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['lzo', LZOP_MAGIC],
];

/** The compression of `data`, `none` for a plain ELF file, undefined for anything that is not known here. */
export function compressionOf(data: Buffer): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => data[i] === byte))?.[0];
}

async function unpackGzip(data: Buffer): Promise<Buffer> {
  return promisify(gunzip)(data, { chunkSize: 1 << 20, maxOutputLength: UNPACKED_LIMIT });
}

async function unpackXz(data: Buffer): Promise<Buffer> {
  const { default: lzma } = await import('lzma-native');
  return new Promise((resolve, reject) => {
    lzma.decompress(data, {}, (result, error) => {
      if (result === null || error) reject(error ?? new Error('the xz data are damaged'));
      else resolve(result);
    });
  });
}

/**
 * Unpacks `data`, which must be one whole packed file with nothing after it.
 *
 * @param size The unpacked size in bytes where it is known; `lz4` needs it.
 * @throws {Error} when the data are damaged or cut short; {@link SandboxError} `zstd-missing` where there is no decoder.
 */
export async function unpack(data: Buffer, compression: Compression, size?: number): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return data;
    case 'gzip':
      return unpackGzip(data);
    case 'xz':
      return unpackXz(data);
    case 'zstd': {
      const { unpackZstd } = await import('./zstd.js');
      return unpackZstd(data, size, UNPACKED_LIMIT);
    }
    case 'lz4': {
      if (size === undefined) throw new Error('the unpacked size of lz4 data must be known');
      const { unpackLz4Legacy } = await import('./lz4.js');
      return unpackLz4Legacy(data, size);
    }
    case 'lzo': {
      const { unpackLzop } = await import('./lzop.js');
      const { data: content, used } = unpackLzop(data, size ?? UNPACKED_LIMIT);
      if (used !== data.length) throw new Error('something follows the lzo data');
      return content;
    }
  }
}
