/** Whether a disk is one file. Others have a backing file, or data elsewhere, and only QEMU knows all their formats. */
import { closeSync, openSync, readSync } from 'node:fs';
import { isSystemError } from '../util/errors.js';

/** QEMU's docs/interop/qcow2.rst */
const HEADER_BYTES = 80;
const MAGIC = 0x514649fb;
const BACKING_FILE_OFFSET = 8;
const INCOMPATIBLE_FEATURES = 72;
const EXTERNAL_DATA = 1n << 2n;

/** @returns false also for what cannot be read: QEMU's own message says why */
export function standsAlone({ source, format }: { readonly source: string; readonly format: string }): boolean {
  if (format === 'raw') return true;
  return format === 'qcow2' && isAlone(readHeader(source));
}

function isAlone(header: Buffer): boolean {
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return false;
  if (header.readBigUInt64BE(BACKING_FILE_OFFSET) !== 0n) return false;
  const version = header.readUInt32BE(4);
  // Version 2 has no such features.
  return version === 2 || (header.readBigUInt64BE(INCOMPATIBLE_FEATURES) & EXTERNAL_DATA) === 0n;
}

function readHeader(path: string): Buffer {
  try {
    const fd = openSync(path, 'r');
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      return header.subarray(0, readSync(fd, header, 0, HEADER_BYTES, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isSystemError(error)) return Buffer.alloc(0);
    throw error;
  }
}
