/** Whether a disk is one file. Others have a backing file, or data elsewhere, and only QEMU knows all their formats. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isSystemError } from '../util/errors.js';

/** QEMU's docs/interop/qcow2.rst */
const MAGIC = 0x514649fb;
const BACKING_FILE_OFFSET = 8;
const BACKING_FILE_SIZE = 16;
const INCOMPATIBLE_FEATURES = 72;
const EXTERNAL_DATA = 1n << 2n;
const HEADER_LENGTH = 100;
/** The header extension with the name of the file that has the data. */
const DATA_FILE = 0x44415441;

/** QEMU writes the names of files right behind the header. */
const READ_BYTES = 64 << 10;
const NOT_NAMED = 'that its header names';

/** Formats without names of files, as far as QEMU reads them. */
const ALONE: ReadonlySet<string> = new Set(['raw', 'bochs', 'cloop', 'dmg', 'vpc', 'vdi']);

/** Where formats beside qcow2 say that there is a file below: libvirt looks there, too. */
const NAMES_FILE: Readonly<Record<string, (start: Buffer) => boolean>> = {
  qcow: (start) => start.readBigUInt64BE(BACKING_FILE_OFFSET) !== 0n,
  qed: (start) => (start.readBigUInt64LE(QED_FEATURES) & QED_BACKING_FILE) !== 0n,
  // In its descriptor, which is text.
  vmdk: (start) => start.includes('parentFileNameHint'),
};
/** QEMU's docs/interop/qed_spec.rst */
const QED_FEATURES = 16;
const QED_BACKING_FILE = 1n;

interface Image {
  readonly source: string;
  /** A QEMU block format. */
  readonly format: string;
}

/** @returns false also for what cannot be read: QEMU's own message says why */
export function standsAlone(image: Image): boolean {
  return furtherFile(image) === undefined;
}

/** What a disk may consist of besides its file, in words for a person; undefined: it is one file. */
export function furtherFile(image: Image): string | undefined {
  const { source, format } = image;
  if (ALONE.has(format)) return undefined;
  if (format !== 'qcow2') return namedFile(image) ?? `other files, as any image of the format ${format}`;
  const start = readStart(source);
  if (start.readUInt32BE(0) !== MAGIC) return 'other files: it has no header of qcow2';
  const backing = start.readBigUInt64BE(BACKING_FILE_OFFSET);
  if (backing !== 0n) {
    const size = start.readUInt32BE(BACKING_FILE_SIZE);
    return `the backing file ${nameAt(start, backing, size)}`;
  }
  // Version 2 has no such features.
  const hasFeatures = start.readUInt32BE(4) !== 2;
  if (hasFeatures && (start.readBigUInt64BE(INCOMPATIBLE_FEATURES) & EXTERNAL_DATA) !== 0n)
    return `the data file ${dataFile(start)}`;
  return undefined;
}

/**
 * What the image names besides its file, in words for a person; undefined: nothing. An image of the formats above may
 * still have its data elsewhere.
 */
export function namedFile(image: Image): string | undefined {
  const { source, format } = image;
  if (ALONE.has(format)) return undefined;
  const start = readStart(source);
  if (format === 'qcow2') return start.readUInt32BE(0) === MAGIC ? furtherFile(image) : undefined;
  return NAMES_FILE[format]?.(start) === true ? 'another file' : undefined;
}

/** Each extension has a type, a size, and data up to the next multiple of eight bytes. */
function dataFile(start: Buffer): string {
  for (let at = start.readUInt32BE(HEADER_LENGTH); at + 8 <= start.length; ) {
    const size = start.readUInt32BE(at + 4);
    if (start.readUInt32BE(at) === DATA_FILE) return nameAt(start, BigInt(at + 8), size);
    at += 8 + Math.ceil(size / 8) * 8;
  }
  return NOT_NAMED;
}

/** A name in quotes. Whoever writes to the image chooses it. */
function nameAt(start: Buffer, offset: bigint, size: number): string {
  const end = offset + BigInt(size);
  return end > BigInt(start.length) ? NOT_NAMED : JSON.stringify(start.toString('utf8', Number(offset), Number(end)));
}

/** The first bytes, and zeros where the file is shorter or cannot be read. */
function readStart(path: string): Buffer {
  const start = Buffer.alloc(READ_BYTES);
  try {
    // A FIFO that took its place does not block.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      readSync(fd, start, 0, READ_BYTES, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  return start;
}
