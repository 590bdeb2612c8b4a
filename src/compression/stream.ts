/** Unpacks what is too large to be in memory at once. */
import { createGunzip } from 'node:zlib';
import { hasMagic, MAGIC } from './magic.js';
import { throughTransform } from './transform.js';
import { unpackZstdStream } from './zstd-stream.js';

/** Formats that are unpacked as streams. */
export type StreamFormat = 'none' | 'gzip' | 'zstd';

/** Bytes of output at a time. */
const CHUNK = 1 << 20;

/**
 * Unpacks all members or frames of a stream.
 * @throws {SandboxError} `zstd-missing`
 * @throws {Error} the data are damaged or cut off
 * @throws what the source throws
 */
export function unpackStream(source: AsyncIterable<Uint8Array>, format: StreamFormat): AsyncIterable<Uint8Array> {
  if (format === 'none') return source;
  return format === 'gzip' ? throughTransform(source, createGunzip({ chunkSize: CHUNK })) : unpackZstdStream(source);
}

/** The format of data by their first bytes; undefined for a format that is not unpacked as a stream. */
export function streamFormat(start: Buffer): StreamFormat | undefined {
  if (hasMagic(start, 0, MAGIC.gzip)) return 'gzip';
  if (hasMagic(start, 0, MAGIC.zstd)) return 'zstd';
  return [MAGIC.xz, MAGIC.bzip2, MAGIC.lzo].some((magic) => hasMagic(start, 0, magic)) ? undefined : 'none';
}
