/**
 * Unpacking a part of an initrd of which only the beginning is known: what comes out, and where it ended.
 */

import * as zlib from 'node:zlib';
import { inflateRawSync } from 'node:zlib';
import { LZOP_MAGIC, UNPACKED_LIMIT } from '../../compression/unpack.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { type ArchiveCompression, ArchiveError } from './types.js';

/** What came out of a part, and how many bytes of it were used. */
export interface Unpacked {
  readonly data: Buffer;
  readonly used: number;
}

type Packed = Exclude<ArchiveCompression, 'none'>;

/** First bytes of what the kernel can unpack (lib/decompress.c), and of what somebody may take for it. */
const MAGICS: readonly (readonly [Packed, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['lzma', [0x5d, 0x00, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['lzo', LZOP_MAGIC],
];
const UNSUPPORTED: readonly (readonly [string, readonly number[]])[] = [
  ['the lz4 frame that no kernel unpacks', [0x04, 0x22, 0x4d, 0x18]],
  ['an old kind of cpio (odc) that no kernel reads', [0x30, 0x37, 0x30, 0x37, 0x30, 0x37]],
  ['an old kind of cpio (binary) that no kernel reads', [0xc7, 0x71]],
];

/** What is packed at `at`. */
export function compressionAt(data: Buffer, at: number): Packed | undefined {
  return MAGICS.find(([, magic]) => hasMagic(data, at, magic))?.[0];
}

/** The name of something at `at` that is known and cannot be read. */
export function unsupportedAt(data: Buffer, at: number): string | undefined {
  return UNSUPPORTED.find(([, magic]) => hasMagic(data, at, magic))?.[0];
}

function hasMagic(data: Buffer, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, i) => data[at + i] === byte);
}

/**
 * Unpacks what begins `data`; something else may follow.
 *
 * @param limit Most bytes that may come out.
 * @throws {ArchiveError} when it is damaged; {@link SandboxError} `zstd-missing`, `decompressor-missing`.
 */
export async function decompress(data: Buffer, compression: Packed, limit = UNPACKED_LIMIT): Promise<Unpacked> {
  try {
    switch (compression) {
      case 'gzip':
        return unpackGzip(data, limit);
      case 'xz':
        return await unpackLzma(data, 'streamDecoder', limit);
      case 'lzma':
        return await unpackLzma(data, 'aloneDecoder', limit);
      case 'bzip2':
        return await unpackBzip2(data, limit);
      case 'zstd':
        return await unpackZstdFrame(data, limit);
      case 'lz4': {
        const { unpackLz4Part } = await import('../../compression/lz4.js');
        return unpackLz4Part(data, limit);
      }
      case 'lzo': {
        const { unpackLzop } = await import('../../compression/lzop.js');
        return unpackLzop(data, limit);
      }
    }
  } catch (error) {
    if (error instanceof SandboxError || error instanceof ArchiveError) throw error;
    throw new ArchiveError(`the ${compression} data cannot be unpacked (${messageOf(error)})`);
  }
}

/** One member: RFC 1952. What `zlib` makes of a second one or of other bytes behind it must not matter. */
function unpackGzip(data: Buffer, limit: number): Unpacked {
  const flags = data.readUInt8(3);
  let at = 10;
  if (flags & 4) at += 2 + data.readUInt16LE(at);
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue;
    const end = data.indexOf(0, at);
    if (end < 0) throw new ArchiveError('the gzip header is cut off');
    at = end + 1;
  }
  if (flags & 2) at += 2;
  const { buffer, engine } = inflateRawSync(data.subarray(at), { info: true, maxOutputLength: limit }) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  const trailer = at + engine.bytesWritten;
  if (data.readUInt32LE(trailer) !== zlib.crc32(buffer))
    throw new ArchiveError('the checksum of the gzip data is wrong');
  if (data.readUInt32LE(trailer + 4) !== buffer.length % 2 ** 32)
    throw new ArchiveError('the gzip data have another size');
  return { data: buffer, used: trailer + 8 };
}

/** Small enough that what comes out of one piece is no surprise: LZMA packs up to 7000 times. */
const LZMA_PIECE = 8192;

async function unpackLzma(data: Buffer, coder: 'streamDecoder' | 'aloneDecoder', limit: number): Promise<Unpacked> {
  const { default: lzma } = await import('lzma-native');
  const stream = new lzma.Stream();
  const parts: Buffer[] = [];
  let size = 0;
  let used: number | undefined;
  let failure: Error | undefined;
  stream.bufferHandler = (part, _processed, error, totalIn) => {
    if (error) failure ??= error;
    else if (part === null && totalIn !== null) used ??= totalIn;
    else if (part) {
      parts.push(part);
      size += part.length;
    }
  };
  stream[coder]({});
  try {
    for (let at = 0; at < data.length && used === undefined; at += LZMA_PIECE) {
      stream.code(data.subarray(at, at + LZMA_PIECE), false);
      if (failure) throw failure;
      if (size > limit) throw new ArchiveError(`the initrd unpacks to more than ${limit} bytes`);
    }
  } finally {
    stream.resetUnderlying();
  }
  if (used === undefined) throw new ArchiveError('the lzma data are cut off');
  return { data: Buffer.concat(parts, size), used };
}

const BZ_OK = 0;
const BZ_OUTBUFF_FULL = -8;

/** libbz2's simple call does not say where the data end, so all of the rest counts as used. */
async function unpackBzip2(data: Buffer, limit: number): Promise<Unpacked> {
  const { default: koffi } = await import('koffi');
  let library: import('koffi').LibraryHandle;
  try {
    library = koffi.load('libbz2.so.1.0');
  } catch (error) {
    throw new SandboxError({
      stage: 'image',
      code: 'decompressor-missing',
      message: `the initrd is packed with bzip2, and libbz2.so.1.0 cannot be loaded: ${messageOf(error)}`,
      remedy: 'install it (Debian: libbz2-1.0, Fedora: bzip2-libs)',
      cause: error,
    });
  }
  const unpack = library.func(
    'int BZ2_bzBuffToBuffDecompress(void *dest, _Inout_ unsigned int *destLen, const void *source, unsigned int sourceLen, int small, int verbosity)',
  );
  for (let capacity = Math.min(limit, data.length * 8 + 65_536); ; capacity = Math.min(limit, capacity * 4)) {
    const target = Buffer.allocUnsafeSlow(capacity);
    const length = [capacity];
    const result = Number(unpack(target, length, data, data.length, 0, 0));
    if (result === BZ_OK) return { data: target.subarray(0, length[0]), used: data.length };
    if (result !== BZ_OUTBUFF_FULL || capacity >= limit)
      throw new ArchiveError(`the bzip2 data are damaged (${result})`);
  }
}

/** Window of a block header, and the sizes that a frame header's flags stand for: RFC 8878, 3.1.1. */
const DICTIONARY_ID_SIZES = [0, 1, 2, 4] as const;
const CONTENT_SIZES = [0, 2, 4, 8] as const;

/** How long the zstd frame is that begins `data`, in bytes. */
function zstdFrameLength(data: Buffer): number {
  const flags = data.readUInt8(4);
  const isSingle = (flags & 0x20) !== 0;
  const contentSize = CONTENT_SIZES[(flags >> 6) as 0 | 1 | 2 | 3] || (isSingle ? 1 : 0);
  let at = 5 + (isSingle ? 0 : 1) + DICTIONARY_ID_SIZES[(flags & 3) as 0 | 1 | 2 | 3] + contentSize;
  for (;;) {
    const block = data.readUIntLE(at, 3);
    const isRepeated = ((block >> 1) & 3) === 1;
    at += 3 + (isRepeated ? 1 : block >> 3);
    if (block & 1) break;
  }
  at += flags & 4 ? 4 : 0;
  if (at > data.length) throw new ArchiveError('the zstd data are cut off');
  return at;
}

async function unpackZstdFrame(data: Buffer, limit: number): Promise<Unpacked> {
  const { unpackZstd } = await import('../../compression/zstd.js');
  const used = zstdFrameLength(data);
  return { data: await unpackZstd(data.subarray(0, used), undefined, limit), used };
}
