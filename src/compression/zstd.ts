/**
 * Zstandard (RFC 8878). The decoder is Node's own (22.15 and later), else the system's libzstd, which QEMU itself links
 * to. A WebAssembly decoder would take 3 to 4 times as long for a kernel, and unpacking it is the longest step of a
 * build.
 */

import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { SandboxError } from '../util/errors.js';
import { compressorMissing, loadLibrary } from './library.js';
import type { UnpackedPart } from './types.js';

/** Unpacks `data`. `size`: unpacked size in bytes, if known. `limit`: most bytes that may come out. */
type Decoder = (data: Buffer, size: number | undefined, limit: number) => Promise<Buffer>;

/** ZSTD_error_dstSize_tooSmall of zstd_errors.h, a stable number. */
const DESTINATION_TOO_SMALL = 70;

/** The highest level whose window (8 MiB) every kernel can unpack. */
const PACK_LEVEL = 19;

/** @types/node is that of the oldest Node.js supported, which has no zstd. */
interface ZlibWithZstd {
  zstdDecompress?: (
    data: Buffer,
    options: { chunkSize: number; maxOutputLength: number },
    done: (error: Error | null, result: Buffer) => void,
  ) => void;
}

function nodeDecoder(): Decoder | undefined {
  const { zstdDecompress } = zlib as ZlibWithZstd;
  if (zstdDecompress === undefined) return undefined;
  const decompress = promisify(zstdDecompress);
  // The default chunk of 16 KiB would take thousands of round trips for a kernel.
  return (data, _size, limit) => decompress(data, { chunkSize: 1 << 20, maxOutputLength: Math.max(1, limit) });
}

async function libraryDecoder(): Promise<Decoder> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load('libzstd.so.1');
  const decompress = library.func(
    'size_t ZSTD_decompress(void *dst, size_t dstCapacity, const void *src, size_t compressedSize)',
  );
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorCode = library.func('int ZSTD_getErrorCode(size_t functionResult)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');

  /** Decodes on a worker thread. The closure keeps both buffers alive until then. */
  const attempt = (target: Buffer, data: Buffer): Promise<number | bigint> =>
    new Promise((resolve, reject) => {
      decompress.async(target, target.length, data, data.length, (error: Error | null, result: number | bigint) => {
        if (error) reject(error);
        else resolve(result);
      });
    });

  return async (data, size, limit) => {
    // What an attempt wrote stays in memory for a while, so a few large steps take less of it than many small ones.
    for (let capacity = size ?? 4 * data.length; ; capacity *= 8) {
      // allocUnsafeSlow: a buffer of its own, outside of Node's shared pool, and not zeroed first.
      const target = Buffer.allocUnsafeSlow(Math.min(capacity, limit));
      const result = await attempt(target, data);
      if (isError(result) === 0) return target.subarray(0, Number(result));
      if (errorCode(result) !== DESTINATION_TOO_SMALL || size !== undefined || capacity >= limit) {
        throw new Error(String(errorName(result)));
      }
    }
  };
}

async function findDecoder(): Promise<Decoder> {
  const own = nodeDecoder();
  if (own !== undefined) return own;
  try {
    return await libraryDecoder();
  } catch (error) {
    throw new SandboxError({
      stage: 'image',
      code: 'zstd-missing',
      message: 'there is no zstd decoder: this Node.js has none, and libzstd.so.1 cannot be loaded',
      remedy: 'install libzstd (Debian: libzstd1, Fedora: libzstd) or use Node 22.15 or later',
      cause: error,
    });
  }
}

let decoder: Promise<Decoder> | undefined;

/**
 * Unpacks whole zstd frames; nothing may follow.
 *
 * @param size Unpacked size in bytes, if known.
 * @throws {SandboxError} `zstd-missing`
 * @throws {Error} when the data are damaged.
 */
export async function unpackZstd(data: Buffer, size: number | undefined, limit: number): Promise<Buffer> {
  decoder ??= findDecoder();
  return (await decoder)(data, size, limit);
}

/** Unpacks the frame that `data` begins with; anything may follow. Errors: those of {@link unpackZstd}. */
export async function unpackZstdPart(data: Buffer, limit: number): Promise<UnpackedPart> {
  const used = frameLength(data);
  return { data: await unpackZstd(data.subarray(0, used), undefined, limit), used };
}

/** Bytes that a dictionary ID and a content size take, by their flags in the frame header: RFC 8878, 3.1.1.1. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

/** The length in bytes of the zstd frame that `data` begins with. */
function frameLength(data: Buffer): number {
  const flags = data.readUInt8(4);
  const isSingleSegment = (flags & 0x20) !== 0;
  const contentSize = CONTENT_SIZE_BYTES[(flags >> 6) as 0 | 1 | 2 | 3] || (isSingleSegment ? 1 : 0);
  const windowDescriptor = isSingleSegment ? 0 : 1;
  let at = 5 + windowDescriptor + DICTIONARY_ID_BYTES[(flags & 3) as 0 | 1 | 2 | 3] + contentSize;
  for (;;) {
    const block = data.readUIntLE(at, 3);
    const isRunLength = ((block >> 1) & 3) === 1;
    at += 3 + (isRunLength ? 1 : block >> 3);
    if (block & 1) break;
  }
  const checksum = flags & 4 ? 4 : 0;
  at += checksum;
  if (at > data.length) throw new Error('the data are cut off');
  return at;
}

/** Packs with libzstd into one frame that holds the unpacked size. */
export async function packZstd(data: Buffer): Promise<Buffer> {
  const library = await loadLibrary('libzstd.so.1', compressorMissing('zstd', 'Debian: libzstd1, Fedora: libzstd'));
  const bound = library.func('size_t ZSTD_compressBound(size_t srcSize)');
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  const compress = library.func(
    'size_t ZSTD_compress(void *dst, size_t dstCapacity, const void *src, size_t srcSize, int level)',
  );
  const target = Buffer.allocUnsafeSlow(Number(bound(data.length)));
  const size = await new Promise<number | bigint>((resolve, reject) => {
    compress.async(target, target.length, data, data.length, PACK_LEVEL, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
  if (isError(size) !== 0) throw new Error(`zstd could not pack the initrd: ${String(errorName(size))}`);
  return target.subarray(0, Number(size));
}
