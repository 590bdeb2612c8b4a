/** Digests of large files that are mostly holes. */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { openRegular, UnreadableFile } from '../../util/regular-files.js';
import { nextData } from './extents.js';
import type { SnapshotFile } from './record.js';

const CHUNK_BYTES = 1 << 20;

/**
 * SHA-256 over the non-zero chunks of a file, each with its position, and over its size; in hexadecimal digits. It
 * distinguishes contents as well as a hash of all bytes would, but takes time only for the data.
 * @throws {UnreadableFile} it is no regular file
 */
export async function digestSparse(path: string): Promise<string> {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    for (let position = 0; position < size; position += CHUNK_BYTES) {
      const data = nextData(file.fd, position);
      if (data === undefined) break;
      position = data - (data % CHUNK_BYTES);
      const bytes = chunk.subarray(0, await readFully(file, chunk, position));
      if (!bytes.equals(zeros.subarray(0, bytes.length))) hash.update(`${position}:${bytes.length}:`).update(bytes);
    }
    return hash.update(`end:${size}`).digest('hex');
  } finally {
    await file.close();
  }
}

/** Reads until the buffer is full or the file ends: some file systems return less than asked for. */
async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
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
