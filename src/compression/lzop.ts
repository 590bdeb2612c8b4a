/**
 * The file format of lzop, as lib/decompress_unlzo.c of the kernel reads it: a magic number, a header, then blocks, each with
 * its unpacked and its packed size, its checksums and its bytes. All numbers are big-endian; an unpacked size of 0 is the end.
 * The kernel skips one checksum of four bytes a block, whatever the header says; here those that it says are there are checked.
 */

import * as zlib from 'node:zlib';
import { unpackLzo1x } from './lzo1x.js';
import { LZOP_MAGIC } from './unpack.js';

/** Most that the kernel takes for one block, in bytes of what comes out, and what lzop makes them of. */
const BLOCK_LIMIT = 256 << 10;
/** Since this version (0.94) the header has all of the fields that the kernel skips. */
const OLDEST_VERSION = 0x0940;
/** LZO1X-1, LZO1X-1(15) and LZO1X-999, which are unpacked alike. */
const METHODS: readonly number[] = [1, 2, 3];

/** What the header's flags say. D is of what comes out, C of what is packed. */
const FLAG = {
  ADLER32_D: 0x1,
  ADLER32_C: 0x2,
  EXTRA_FIELD: 0x40,
  CRC32_D: 0x100,
  CRC32_C: 0x200,
  FILTER: 0x800,
  HEADER_CRC32: 0x1000,
} as const;

/** Adler-32 (RFC 1950, 8.2), which Node has no call for. Its sums are exact up to 8 MB, and nothing here is as large. */
function adler32(data: Buffer): number {
  let low = 1;
  let high = 0;
  for (let i = 0; i < data.length; i++) {
    low += data[i] ?? 0;
    high += low;
  }
  return (high % 65_521) * 65_536 + (low % 65_521);
}

/** The fields of a file, read one after the other. */
class Fields {
  position = 0;

  constructor(private readonly data: Buffer) {}

  take(count: number): Buffer {
    const end = this.position + count;
    if (end > this.data.length) throw new Error('the lzop file is cut off');
    this.position = end;
    return this.data.subarray(end - count, end);
  }

  number(size: 1 | 2 | 4): number {
    return this.take(size).readUIntBE(0, size);
  }

  /** What was read since `start`. */
  since(start: number): Buffer {
    return this.data.subarray(start, this.position);
  }
}

/** Reads magic number and header, and returns the flags. */
function readHeader(fields: Fields): number {
  if (!fields.take(LZOP_MAGIC.length).equals(Buffer.from(LZOP_MAGIC))) {
    throw new Error('the lzop file does not begin with its magic number');
  }
  const start = fields.position;
  if (fields.number(2) < OLDEST_VERSION)
    throw new Error('it is of an lzop before 0.94, whose header the kernel misreads');
  // The versions of the library that packed and of the lzop that is needed.
  fields.take(4);
  const method = fields.number(1);
  // The level.
  fields.take(1);
  const flags = fields.number(4);
  // Filter, mode, and time in two halves, then the name.
  fields.take((flags & FLAG.FILTER ? 4 : 0) + 12);
  fields.take(fields.number(1));
  const header = fields.since(start);
  const check = flags & FLAG.HEADER_CRC32 ? zlib.crc32(header) : adler32(header);
  if (fields.number(4) !== check) throw new Error('the checksum of the lzop header is wrong');
  if (!METHODS.includes(method)) throw new Error(`it is packed with method ${method}, which is not LZO1X`);
  if (flags & FLAG.FILTER) throw new Error('it went through a filter, which no kernel undoes');
  if (flags & FLAG.EXTRA_FIELD) throw new Error('its header has an extra field, which no kernel skips');
  return flags;
}

/** The checksums of a block that `flags` announce. */
function readChecksums(fields: Fields, flags: number, adler: number, crc: number): ((data: Buffer) => boolean)[] {
  const kinds = [
    [adler, adler32],
    [crc, zlib.crc32],
  ] as const;
  return kinds
    .filter(([flag]) => flags & flag)
    .map(([, sumOf]) => {
      const check = fields.number(4);
      return (data) => sumOf(data) === check;
    });
}

function readBlock(fields: Fields, flags: number, size: number): Buffer {
  if (size > BLOCK_LIMIT) throw new Error(`a block of ${size} bytes is larger than the kernel takes`);
  const packedSize = fields.number(4);
  if (packedSize === 0 || packedSize > size) throw new Error(`a block of ${size} bytes has ${packedSize} when packed`);
  const checks = readChecksums(fields, flags, FLAG.ADLER32_D, FLAG.CRC32_D);
  // What does not get smaller is stored as it is, without checksums of its own.
  const isStored = packedSize === size;
  const packedChecks = isStored ? [] : readChecksums(fields, flags, FLAG.ADLER32_C, FLAG.CRC32_C);
  const packed = fields.take(packedSize);
  if (!packedChecks.every((check) => check(packed))) throw new Error('the checksum of a packed lzo block is wrong');
  let data = packed;
  if (!isStored) {
    data = Buffer.allocUnsafeSlow(size);
    unpackLzo1x(packed, data);
  }
  if (!checks.every((check) => check(data))) throw new Error('the checksum of an lzo block is wrong');
  return data;
}

/**
 * Unpacks the lzop file that begins `data`; something else may follow.
 *
 * @param limit Most bytes that may come out.
 * @returns what came out, and how many bytes of `data` it took
 * @throws {Error} when the file is damaged, cut off, or one that the kernel does not take.
 */
export function unpackLzop(data: Buffer, limit: number): { data: Buffer; used: number } {
  const fields = new Fields(data);
  const flags = readHeader(fields);
  const parts: Buffer[] = [];
  let total = 0;
  for (let size = fields.number(4); size !== 0; size = fields.number(4)) {
    total += size;
    if (total > limit) throw new Error(`it unpacks to more than ${limit} bytes`);
    parts.push(readBlock(fields, flags, size));
  }
  return { data: Buffer.concat(parts, total), used: fields.position };
}
