/** Takes the place of `node:fs/promises` in the bundle of a target: memory-files.ts says why. */
import type { PathLike, Stats } from 'node:fs';
import { contentOf, copyFrom, type fs, isInMemory, promises, statOf } from './memory-files.js';

// What is not below stays as it is.
export * from 'node:fs/promises';

/** An open file, with the methods that this project uses. */
class MemoryHandle {
  constructor(private readonly data: Buffer) {}

  async stat(): Promise<Stats> {
    return statOf(this.data);
  }

  async read<T extends Uint8Array>(
    buffer: T,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number; buffer: T }> {
    return { bytesRead: copyFrom(this.data, buffer, offset, length, position), buffer };
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

export async function open(path: PathLike, flags?: string | number): Promise<MemoryHandle | promises.FileHandle> {
  return isInMemory(path) ? new MemoryHandle(contentOf(path)) : promises.open(path, flags);
}

export async function stat(path: PathLike): Promise<fs.Stats> {
  return isInMemory(path) ? statOf(contentOf(path)) : promises.stat(path);
}

export async function readFile(path: PathLike, options?: BufferEncoding): Promise<string | Buffer> {
  if (!isInMemory(path)) return promises.readFile(path, options);
  return options === undefined ? contentOf(path) : contentOf(path).toString(options);
}
