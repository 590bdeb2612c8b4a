/**
 * Reads cpio archives in the newc format, with and without checksums:
 * Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Reading follows the kernel
 * (init/initramfs.c), but damage is an error here, where the kernel skips it.
 */

import type { Budget } from './budget.js';
import { type ArchiveEntry, ArchiveError, type EntryType } from './types.js';

const HEADER_BYTES = 110;
/** Name of the entry that ends an archive. */
const END = 'TRAILER!!!';
/** PATH_MAX: the kernel makes no file with a longer name, and no link with a longer target. */
const LONGEST_NAME = 4096;

const TYPES: ReadonlyMap<number, EntryType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'character-device'],
  [0o060000, 'block-device'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);

/** No bitwise operators: they take sizes from 2^31 on for negative numbers. */
const pad = (size: number): number => Math.ceil(size / 4) * 4;

/** True if a newc archive begins at byte `at`. */
export function isNewc(data: Buffer, at: number): boolean {
  const magic = data.toString('latin1', at, at + 6);
  return magic === '070701' || magic === '070702';
}

/** The numbers of a header: 13 fields of eight hexadecimal digits after the magic. */
function fieldsAt(data: Buffer, at: number): number[] {
  const text = data.toString('latin1', at + 6, at + HEADER_BYTES);
  if (!/^[0-9A-Fa-f]{104}$/.test(text)) throw new ArchiveError(`the cpio header at byte ${at} is damaged`);
  return Array.from({ length: 13 }, (_, i) => Number.parseInt(text.slice(i * 8, i * 8 + 8), 16));
}

/** The sum of all bytes modulo 2^32, as in format 070702. */
function sumOf(data: Buffer): number {
  let sum = 0;
  for (const byte of data) sum = (sum + byte) >>> 0;
  return sum;
}

/**
 * Reads one archive.
 *
 * @param start Offset of its first header.
 * @param budget Pays for each entry.
 * @returns its entries, and the offset of the first byte after it
 * @throws {ArchiveError} for an archive that is damaged or cut off.
 */
export function parseNewc(data: Buffer, start: number, budget: Budget): { entries: ArchiveEntry[]; end: number } {
  const entries: ArchiveEntry[] = [];
  for (let at = start; ; ) {
    if (at + HEADER_BYTES > data.length) throw new ArchiveError(`the cpio archive is cut off at byte ${data.length}`);
    if (!isNewc(data, at)) throw new ArchiveError(`there is no cpio header at byte ${at}`);
    const { entry, end } = parseEntry(data, at);
    budget.takeEntry(entry.name.length + (entry.type === 'symlink' ? entry.data.length : 0));
    // Entries are padded to a multiple of 4 bytes; the padding of the last one may be missing.
    at = Math.min(end, data.length);
    if (entry.name === END) return { entries, end: at };
    entries.push(entry);
  }
}

function parseEntry(data: Buffer, at: number): { entry: ArchiveEntry; end: number } {
  const [ino = 0, mode = 0, uid = 0, gid = 0, nlink = 0, mtime = 0, size = 0, major = 0, minor = 0, ...more] = fieldsAt(
    data,
    at,
  );
  const [rdevMajor = 0, rdevMinor = 0, nameSize = 0, check = 0] = more;
  const nameEnd = at + HEADER_BYTES + nameSize;
  const bodyStart = at + pad(HEADER_BYTES + nameSize);
  const bodyEnd = bodyStart + size;
  if (nameSize < 2 || nameSize > LONGEST_NAME || data[nameEnd - 1] !== 0) {
    throw new ArchiveError(`the cpio entry at byte ${at} has a damaged name`);
  }
  const name = data.toString('latin1', at + HEADER_BYTES, nameEnd - 1);
  if (name.includes('\0')) throw new ArchiveError(`the cpio entry at byte ${at} has a damaged name`);
  if (bodyEnd > data.length) throw new ArchiveError(`the cpio archive is cut off in the middle of ${printable(name)}`);
  const body = data.subarray(bodyStart, bodyEnd);
  const type = TYPES.get(mode & 0o170000) ?? 'unknown';
  if (type === 'symlink' && body.length > LONGEST_NAME) {
    throw new ArchiveError(`the link ${printable(name)} has a target of ${body.length} bytes`);
  }
  if (data[at + 5] === 0x32 && type === 'file' && sumOf(body) !== check) {
    throw new ArchiveError(`the checksum of ${printable(name)} in the cpio archive is wrong`);
  }
  const inode = `${major}:${minor}:${ino}`;
  return {
    entry: { name, type, mode, uid, gid, nlink, mtime, inode, rdevMajor, rdevMinor, data: body },
    end: at + pad(bodyEnd - at),
  };
}

/**
 * A name for people, decoded as UTF-8. Control characters and invalid bytes are escaped, so that a terminal does not
 * act on them.
 */
export function printable(name: string): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  return text.replace(/[\p{Cc}\p{Cf}\ufffd\\]/gu, (letter) => {
    if (letter === '\\') return '\\\\';
    const code = letter.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
