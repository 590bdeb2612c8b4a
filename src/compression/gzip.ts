/** gzip (RFC 1952), through Node's zlib. */

import { promisify } from 'node:util';
import { constants, crc32, gunzip, gzip, inflateRawSync } from 'node:zlib';
import type { UnpackedPart } from './types.js';

/** Flags of the header: RFC 1952, 2.3.1. */
const FLAG = { HEADER_CRC: 2, EXTRA: 4, NAME: 8, COMMENT: 16 } as const;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

export async function unpackGzip(data: Buffer, limit: number): Promise<Buffer> {
  return promisify(gunzip)(data, { chunkSize: 1 << 20, maxOutputLength: limit });
}

/** Unpacks one member. zlib's own gunzip would also read a second member, or fail on other bytes that follow. */
export function unpackGzipPart(data: Buffer, limit: number): UnpackedPart {
  const start = headerEnd(data);
  const { buffer, engine } = inflateRawSync(data.subarray(start), {
    info: true,
    maxOutputLength: limit,
  }) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  const trailer = start + engine.bytesWritten;
  if (data.readUInt32LE(trailer) !== crc32(buffer)) throw new Error('the checksum is wrong');
  if (data.readUInt32LE(trailer + 4) !== buffer.length % 2 ** 32) throw new Error('the size is wrong');
  return { data: buffer, used: trailer + TRAILER_BYTES };
}

/** Where the header of the member that begins `data` ends. */
function headerEnd(data: Buffer): number {
  const flags = data.readUInt8(3);
  let at = HEADER_BYTES;
  if (flags & FLAG.EXTRA) at += 2 + data.readUInt16LE(at);
  for (const flag of [FLAG.NAME, FLAG.COMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = data.indexOf(0, at);
    if (end < 0) throw new Error('the header is cut off');
    at = end + 1;
  }
  return flags & FLAG.HEADER_CRC ? at + 2 : at;
}

/** Node writes neither time nor name into the header. */
export async function packGzip(data: Buffer): Promise<Buffer> {
  return promisify(gzip)(data, { level: constants.Z_BEST_COMPRESSION });
}
