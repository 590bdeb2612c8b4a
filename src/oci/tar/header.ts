/** The blocks of 512 bytes that a tar archive's entries begin with: POSIX ustar, GNU, and what was before. */
import { TarError } from './pieces.js';

export const BLOCK = 512;

/** Offsets and lengths of the fields, POSIX pax(1). */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  link: [157, 100],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const;

const CHECKSUM = [148, 8] as const;

const BLANK = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

export interface RawHeader {
  /** Bytes as characters of latin1, as in all names here: a name may be in any encoding, or in none. */
  readonly name: string;
  readonly link: string;
  /** The type flag: `0` to `7`, or a letter. */
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

export function isZero(block: Buffer): boolean {
  for (let at = 0; at < BLOCK; at += 4) if (block.readInt32LE(at) !== 0) return false;
  return true;
}

/** @throws {TarError} the checksum or a number is wrong */
export function parseHeader(block: Buffer): RawHeader {
  refuseWrongChecksum(block);
  const magic = block.toString('latin1', 257, 265);
  // GNU's magic has blanks; its archives have other fields where ustar has the beginning of a long name.
  const prefix = magic.startsWith('ustar\0') ? text(block, FIELD.prefix) : '';
  const name = text(block, FIELD.name);
  const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
  const hasDevices = magic.startsWith('ustar') && (flag === '3' || flag === '4');
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, FIELD.link),
    flag,
    mode: number(block, FIELD.mode),
    uid: number(block, FIELD.uid),
    gid: number(block, FIELD.gid),
    size: number(block, FIELD.size),
    mtime: number(block, FIELD.mtime),
    major: hasDevices ? number(block, FIELD.major) : 0,
    minor: hasDevices ? number(block, FIELD.minor) : 0,
  };
}

/** The sum of all bytes, with blanks in the place of the sum. Some archivers took the bytes as signed. */
function refuseWrongChecksum(block: Buffer): void {
  const [start, length] = CHECKSUM;
  const digits = block.toString('latin1', start, start + length).replace(/[\0 ]/g, '');
  const stored = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : -1;
  let sum = 0;
  for (let at = 0; at < BLOCK; at += 1) sum += block[at] ?? 0;
  for (let at = start; at < start + length; at += 1) sum += 32 - (block[at] ?? 0);
  if (stored === sum) return;
  const negative = block.filter((byte, at) => byte > 127 && (at < start || at >= start + length)).length;
  if (stored !== sum - 256 * negative) throw new TarError('is no tar archive, or is damaged');
}

function text(block: Buffer, [start, length]: readonly [number, number]): string {
  const end = block.indexOf(0, start);
  return block.toString('latin1', start, end < 0 ? start + length : Math.min(end, start + length));
}

/** Octal digits between blanks and zeros, or, with the first bit set, two's complement (GNU's base-256). */
function number(block: Buffer, [start, length]: readonly [number, number]): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) return base256(block.subarray(start, start + length));
  let value = 0;
  let hasEnded = false;
  for (let at = start; at < start + length; at += 1) {
    const byte = block[at] ?? 0;
    if (byte === 0) break;
    if (byte === BLANK) hasEnded = value > 0 || hasEnded;
    else if (byte < ZERO || byte > SEVEN || hasEnded) throw new TarError('has a number that is none');
    else value = value * 8 + byte - ZERO;
  }
  return value;
}

function base256(bytes: Buffer): number {
  const isNegative = ((bytes[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((bytes[0] ?? 0) & 0x7f) - (isNegative ? 0x80n : 0n);
  for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw new TarError('has a number that is too large');
  return result;
}
