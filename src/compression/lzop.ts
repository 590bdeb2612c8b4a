/**
 * The file format of lzop, as lib/decompress_unlzo.c of the kernel reads it: a magic number, a header, then blocks.
 * Each block has its unpacked size, its packed size, its checksums and its bytes. Numbers are big-endian; an unpacked
 * size of 0 ends the file. The kernel skips one checksum of four bytes per block, whatever the header says. This code
 * checks all that the header announces.
 */

import * as zlib from 'node:zlib';
import { unpackLzo1x } from './lzo1x.js';
import { MAGIC } from './magic.js';
import { Output } from './output.js';
import type { UnpackedPart } from './types.js';

/** Largest block that the kernel takes, and the one that lzop makes, in unpacked bytes. */
const BLOCK_LIMIT = 256 << 10;
/** Version 0.94 of lzop. Older headers lack fields that the kernel skips. */
const OLDEST_VERSION = 0x0940;
/** LZO1X-1, LZO1X-1(15) and LZO1X-999. One decoder unpacks all three. */
const METHODS: readonly number[] = [1, 2, 3];

/** Flags of the header. D: of the unpacked data; C: of the packed data. */
const FLAG = {
  ADLER32_D: 0x1,
  ADLER32_C: 0x2,
  EXTRA_FIELD: 0x40,
  CRC32_D: 0x100,
  CRC32_C: 0x200,
  FILTER: 0x800,
  HEADER_CRC32: 0x1000,
} as const;

/** Adler-32 (RFC 1950, 8.2), which Node.js lacks. These sums are exact for up to 8 MB; a block has at most 256 KiB. */
function adler32(data: Buffer): number {
  let low = 1;
  let high = 0;
  for (let i = 0; i < data.length; i++) {
    low += data[i] ?? 0;
    high += low;
  }
  return (high % 65_521) * 65_536 + (low % 65_521);
}

/** Reads the fields of a file in order. */
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

  /** The bytes read since position `start`. */
  since(start: number): Buffer {
    return this.data.subarray(start, this.position);
  }
}

/** Reads the magic number and the header. Returns the header's flags. */
function readHeader(fields: Fields): number {
  if (!fields.take(MAGIC.lzo.length).equals(Buffer.from(MAGIC.lzo))) {
    throw new Error('the lzop file does not begin with its magic number');
  }
  const start = fields.position;
  if (fields.number(2) < OLDEST_VERSION)
    throw new Error('it is of an lzop before 0.94, whose header the kernel misreads');
  // The version of the library that packed it, and the version of lzop that is needed.
  fields.take(4);
  const method = fields.number(1);
  // Level.
  fields.take(1);
  const flags = fields.number(4);
  // Filter, mode, time in two halves; then the name.
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

/** Reads the checksums of a block that `flags` announce. Each result compares data with one of them. */
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
  // Data that would not shrink are stored unpacked, without checksums of packed data.
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
 * Unpacks the lzop file that `data` begins with; anything may follow.
 *
 * @param limit Most bytes that may come out.
 * @throws {Error} when the file is damaged, cut off, or one that the kernel refuses.
 */
export function unpackLzopPart(data: Buffer, limit: number): UnpackedPart {
  const fields = new Fields(data);
  const flags = readHeader(fields);
  const output = new Output(limit);
  for (let size = fields.number(4); size !== 0; size = fields.number(4)) {
    output.expect(size);
    output.append(readBlock(fields, flags, size));
  }
  return { data: output.bytes, used: fields.position };
}

/** Unpacks a whole file; nothing may follow. Errors: those of {@link unpackLzopPart}. */
export function unpackLzop(data: Buffer, limit: number): Buffer {
  const { data: content, used } = unpackLzopPart(data, limit);
  if (used !== data.length) throw new Error('something follows the lzo data');
  return content;
}
