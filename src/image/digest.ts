/** The content of large files that are mostly holes. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../errors.js';
import { nextData } from './extents.js';
import type { WarmFile } from './warm.js';

const CHUNK_BYTES = 1 << 20;

/**
 * SHA-256 over the parts of a file that are not zero, each with its place, and over its size; in hexadecimal digits. It tells one content
 * from another as a hash of all bytes would, and takes the time of those that say something.
 */
export async function digestSparse(path: string): Promise<string> {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    for (let position = 0; position < size; position += CHUNK_BYTES) {
      const data = nextData(file.fd, position);
      if (data === undefined) break;
      position = data - (data % CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
      const bytes = chunk.subarray(0, bytesRead);
      if (!bytes.equals(zeros.subarray(0, bytesRead))) hash.update(`${position}:${bytesRead}:`).update(bytes);
    }
    return hash.update(`end:${size}`).digest('hex');
  } finally {
    await file.close();
  }
}

/** True when the file has the content that it had. */
export async function hasDigest(directory: string, { name, digest }: WarmFile): Promise<boolean> {
  try {
    return (await digestSparse(join(directory, name))) === digest;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}
