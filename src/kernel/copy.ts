/**
 * Copies a kernel into an image: read, write, hash. A kernel is never used where it is installed, since libvirt may
 * relabel it.
 */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type KernelFile, readAt, withKernelFile } from './identify.js';
import type { SparseFile } from './slim.js';

/** Reads the first `file.size` bytes of a kernel file: all that booting needs. */
export async function readKernel(file: KernelFile): Promise<Buffer> {
  return withKernelFile(file.path, (handle) => readAt(handle, 0, file.size));
}

/** Writes `content` into an empty file. */
export async function writeSparse(target: FileHandle, content: SparseFile): Promise<void> {
  await target.truncate(content.size);
  for (const { position, data } of content.chunks) {
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await target.write(data, done, data.length - done, position + done);
      done += bytesWritten;
    }
  }
}

/** SHA-256 of a file's bytes, including the zeros between its parts, in hexadecimal digits. */
export function hashSparse(content: SparseFile): string {
  const hash = createHash('sha256');
  let position = 0;
  for (const chunk of content.chunks) {
    if (chunk.position > position) hash.update(Buffer.alloc(chunk.position - position));
    hash.update(chunk.data);
    position = chunk.position + chunk.data.length;
  }
  if (content.size > position) hash.update(Buffer.alloc(content.size - position));
  return hash.digest('hex');
}
