/** gzip (RFC 1952), through Node's zlib. */

import { promisify } from 'node:util';
import { constants, crc32, createGunzip, createInflateRaw, type Gunzip, gzip, type InflateRaw } from 'node:zlib';
import { Output } from './output.js';
import type { UnpackedPart } from './types.js';

/** Flags of the header: RFC 1952, 2.3.1. */
const FLAG = { HEADER_CRC: 2, EXTRA: 4, NAME: 8, COMMENT: 16 } as const;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** zlib packs up to 1032 times, so one piece unpacks to 64 MiB at most. */
const PIECE = 64 << 10;
/** Most bytes that come out at a time. The default of 16 KiB would take thousands of round trips for a kernel. */
const MOST_CHUNK = 1 << 20;

export async function unpackGzip(data: Buffer, limit: number): Promise<Buffer> {
  const { data: content } = await inflate(createGunzip({ chunkSize: chunkSize(data) }), data, limit);
  return content;
}

/** Unpacks one member. zlib's own gunzip would also read a second member, or fail on other bytes that follow. */
export async function unpackGzipPart(data: Buffer, limit: number): Promise<UnpackedPart> {
  const start = headerEnd(data);
  const { data: content, used } = await inflate(
    createInflateRaw({ chunkSize: chunkSize(data) }),
    data.subarray(start),
    limit,
  );
  const trailer = start + used;
  if (data.readUInt32LE(trailer) !== crc32(content)) throw new Error('the checksum is wrong');
  if (data.readUInt32LE(trailer + 4) !== content.length % 2 ** 32) throw new Error('the size is wrong');
  return { data: content, used: trailer + TRAILER_BYTES };
}

/** Bytes of a piece of output: a small file needs no large one. */
function chunkSize(data: Buffer): number {
  return Math.min(MOST_CHUNK, Math.max(2 * data.length, constants.Z_MIN_CHUNK));
}

/** Unpacks in pieces, so that the limit is noticed soon. The end of the data ends it, whatever follows. */
function inflate(engine: Gunzip | InflateRaw, data: Buffer, limit: number): Promise<UnpackedPart> {
  const output = new Output(limit);
  return new Promise<UnpackedPart>((resolve, reject) => {
    engine.on('data', (part: Buffer) => {
      try {
        output.append(part);
      } catch (error) {
        reject(error);
        engine.destroy();
      }
    });
    engine.once('end', () => resolve({ data: output.bytes, used: engine.bytesWritten }));
    engine.once('error', reject);
    const write = (at: number): void => {
      if (at >= data.length) engine.end();
      else engine.write(data.subarray(at, at + PIECE), (error) => (error ? reject(error) : write(at + PIECE)));
    };
    write(0);
  }).finally(() => engine.destroy());
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
