/**
 * Zstandard, by the fastest decoder at hand: Node's own (22.15 and later), else the system's libzstd, which QEMU itself
 * is linked to. A WebAssembly decoder takes 3 to 4 times as long for a kernel, and this is the largest step of a build.
 */

import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { SandboxError } from '../util/errors.js';

/** Unpacks `data`; `size` is the unpacked size in bytes where it is known, `limit` the largest that is accepted. */
type Decoder = (data: Buffer, size: number | undefined, limit: number) => Promise<Buffer>;

/** ZSTD_error_dstSize_tooSmall of zstd_errors.h, a stable number. */
const DESTINATION_TOO_SMALL = 70;

/** The package's types are those of the oldest Node it supports, which has no zstd. */
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
  // Large pieces: the default of 16 KiB means thousands of round trips for a kernel.
  return (data, _size, limit) => decompress(data, { chunkSize: 1 << 20, maxOutputLength: limit });
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

  /** On a worker thread; the closure keeps both buffers alive until it is done. */
  const attempt = (target: Buffer, data: Buffer): Promise<number | bigint> =>
    new Promise((resolve, reject) => {
      decompress.async(target, target.length, data, data.length, (error: Error | null, result: number | bigint) => {
        if (error) reject(error);
        else resolve(result);
      });
    });

  return async (data, size, limit) => {
    for (let capacity = size ?? 4 * data.length; ; capacity *= 2) {
      // Slow: a buffer of its own, never a part of Node's shared pool, and not filled with zeros first.
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
      message: 'nothing here can unpack zstd: this Node has no zstd of its own and libzstd.so.1 cannot be loaded',
      remedy: 'install libzstd (Debian: libzstd1, Fedora: libzstd) or use Node 22.15 or later',
      cause: error,
    });
  }
}

let decoder: Promise<Decoder> | undefined;

/**
 * Unpacks whole zstd frames with nothing after them.
 *
 * @throws {SandboxError} `zstd-missing` where there is no decoder; a plain Error for damaged data.
 */
export async function unpackZstd(data: Buffer, size: number | undefined, limit: number): Promise<Buffer> {
  decoder ??= findDecoder();
  return (await decoder)(data, size, limit);
}
