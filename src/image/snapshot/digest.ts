/** Digests of large files that are mostly holes. */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { openRegular, UnreadableFile } from '../../util/regular-files.js';
import { nextData } from './extents.js';
import type { SnapshotFile } from './record.js';

/** Bytes of the pieces that a file is taken apart into. The last one may have fewer. */
export const CHUNK_BYTES = 1 << 20;

const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** @param bytes at most {@link CHUNK_BYTES} */
export function isZero(bytes: Uint8Array): boolean {
  return ZEROS.subarray(0, bytes.length).equals(bytes);
}

/**
 * SHA-256 over the non-zero chunks of a file, each with its position, and over its size. It distinguishes contents as
 * well as a hash of all bytes would, but takes time only for the data.
 */
export class SparseDigest {
  readonly #hash = createHash('sha256');

  /**
   * Adds the next chunk; one of zeros counts for nothing.
   * @param position a multiple of {@link CHUNK_BYTES}
   */
  update(bytes: Buffer, position: number): void {
    if (!isZero(bytes)) this.#hash.update(`${position}:${bytes.length}:`).update(bytes);
  }

  /** In hexadecimal digits. @param size of the file, in bytes */
  finish(size: number): string {
    return this.#hash.update(`end:${size}`).digest('hex');
  }
}

/**
 * The {@link SparseDigest} of a file.
 * @throws {UnreadableFile} it is no regular file
 */
export async function digestSparse(path: string): Promise<string> {
  const digest = new SparseDigest();
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    for (let position = 0; position < size; position += CHUNK_BYTES) {
      const data = nextData(file.fd, position);
      if (data === undefined) break;
      position = data - (data % CHUNK_BYTES);
      digest.update(chunk.subarray(0, await readFully(file, chunk, position)), position);
    }
    return digest.finish(size);
  } finally {
    await file.close();
  }
}

/** Reads until the buffer is full or the file ends: some file systems return less than asked for. */
export async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
  for (let length = 0; ; ) {
    const { bytesRead } = await file.read(into, length, into.length - length, position + length);
    length += bytesRead;
    if (bytesRead === 0 || length === into.length) return length;
  }
}

/** True if the file has the recorded digest. */
export async function hasDigest(directory: string, { name, digest }: SnapshotFile): Promise<boolean> {
  try {
    return (await digestSparse(join(directory, name))) === digest;
  } catch (error) {
    if (isSystemError(error) || error instanceof UnreadableFile) return false;
    throw error;
  }
}
