/**
 * Compressing an initrd in the way that the kernel unpacks: lib/decompress*.c and usr/Kconfig of the kernel.
 *
 * The same bytes come of the same bytes with the same version of the library; nothing of time, user or machine goes in.
 */

import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import type { BuildConfig } from '../../kernel/build-config.js';
import { INITRD_COMPRESSIONS, type InitrdCompression } from '../manifest.js';

/** Its window of 8 MiB is the most that every kernel unpacks. */
const ZSTD_LEVEL = 19;
const LZ4_LEVEL = 12;

/** The kernel's build option that lets it unpack such an initrd. */
function optionOf(compression: Exclude<InitrdCompression, 'none'>): string {
  return `CONFIG_RD_${compression.toUpperCase()}`;
}

/**
 * Checks that the kernel can unpack an initrd.
 *
 * @param config How it was built; undefined where nobody knows.
 * @throws {SandboxError} `compression-unsupported`, `compression-unchecked`.
 */
export function checkCompression(
  compression: InitrdCompression,
  config: BuildConfig | undefined,
  version: string,
): void {
  if (compression === 'none') return;
  const option = optionOf(compression);
  if (config === undefined) {
    throw new SandboxError({
      stage: 'image',
      code: 'compression-unchecked',
      message: `nothing says whether kernel ${version} can unpack ${compression} (${option}): its configuration is neither beside it, nor in its module tree, nor in the kernel itself`,
      remedy: 'use --compress none, which every kernel can read',
    });
  }
  if (config.hasBuiltIn(option)) return;
  const able = INITRD_COMPRESSIONS.filter((name) => name === 'none' || config.hasBuiltIn(optionOf(name)));
  throw new SandboxError({
    stage: 'image',
    code: 'compression-unsupported',
    message: `kernel ${version} cannot unpack an initrd packed with ${compression}: ${config.source} has no ${option}=y`,
    remedy: `use --compress with ${able.join(', ')}`,
  });
}

/**
 * Packs `archive`.
 *
 * @throws {SandboxError} `compressor-missing` where a library is not installed.
 */
export async function compress(archive: Buffer, compression: InitrdCompression): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return archive;
    case 'gzip':
      return packGzip(archive);
    case 'xz':
      return packXz(archive);
    case 'zstd':
      return packZstd(archive);
    case 'lz4':
      return packLz4(archive);
  }
}

/** Node writes no time and no name into the header. */
async function packGzip(archive: Buffer): Promise<Buffer> {
  return promisify(gzip)(archive, { level: constants.Z_BEST_COMPRESSION });
}

/** The kernel's decoder knows CRC32 as the only check. */
async function packXz(archive: Buffer): Promise<Buffer> {
  const { default: lzma } = await import('lzma-native');
  return new Promise((resolve, reject) => {
    lzma.compress(archive, { preset: 6, check: lzma.CHECK_CRC32 }, (result, error) => {
      if (result === null || error) reject(error ?? new Error('xz could not pack the initrd'));
      else resolve(result);
    });
  });
}

async function loadLibrary(name: string, packages: string): Promise<import('koffi').LibraryHandle> {
  const { default: koffi } = await import('koffi');
  try {
    return koffi.load(name);
  } catch (error) {
    if (isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'image',
      code: 'compressor-missing',
      message: `${name} cannot be loaded: ${messageOf(error)}`,
      remedy: `install it (${packages}), or use another --compress`,
      cause: error,
    });
  }
}

/** One frame, with its size and a checksum, which is what the kernel expects of an initrd. */
async function packZstd(archive: Buffer): Promise<Buffer> {
  const library = await loadLibrary('libzstd.so.1', 'Debian: libzstd1, Fedora: libzstd');
  const bound = library.func('size_t ZSTD_compressBound(size_t srcSize)');
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  const pack = library.func(
    'size_t ZSTD_compress(void *dst, size_t dstCapacity, const void *src, size_t srcSize, int level)',
  );
  const target = Buffer.allocUnsafeSlow(Number(bound(archive.length)));
  const size = await new Promise<number | bigint>((resolve, reject) => {
    pack.async(target, target.length, archive, archive.length, ZSTD_LEVEL, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
  if (isError(size) !== 0) throw new Error(`zstd could not pack the initrd: ${String(errorName(size))}`);
  return target.subarray(0, Number(size));
}

/** The legacy frame: blocks, each behind its length. The kernel knows no other. */
async function packLz4(archive: Buffer): Promise<Buffer> {
  const library = await loadLibrary('liblz4.so.1', 'Debian: liblz4-1, Fedora: lz4-libs');
  const { BLOCK_LIMIT, MAGIC } = await import('../../compression/lz4.js');
  const bound = library.func('int LZ4_compressBound(int inputSize)');
  const pack = library.func(
    'int LZ4_compress_HC(const void *src, void *dst, int srcSize, int dstCapacity, int compressionLevel)',
  );
  const word = (value: number): Buffer => {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(value);
    return data;
  };
  const parts = [word(MAGIC)];
  for (let at = 0; at < archive.length; at += BLOCK_LIMIT) {
    const block = archive.subarray(at, at + BLOCK_LIMIT);
    const target = Buffer.allocUnsafeSlow(Number(bound(block.length)));
    const size = await new Promise<number>((resolve, reject) => {
      pack.async(block, target, block.length, target.length, LZ4_LEVEL, (error: Error | null, result: number) => {
        if (error) reject(error);
        else resolve(result);
      });
    });
    if (size <= 0) throw new Error('lz4 could not pack the initrd');
    parts.push(word(size), target.subarray(0, size));
  }
  return Buffer.concat(parts);
}
