/** Takes the place of `node:fs` in the bundle of a target: memory-files.ts says why. */
import type { PathLike } from 'node:fs';
import { contentOf, copyFrom, fs, isInMemory, statOf } from './memory-files.js';

// What is not below stays as it is.
export * from 'node:fs';

/** Numbers that no real descriptor has. */
const FIRST_DESCRIPTOR = 1 << 20;
const opened = new Map<number, { readonly data: Buffer; position: number }>();

export function openSync(path: PathLike, ...more: [flags?: fs.OpenMode, mode?: fs.Mode]): number {
  if (!isInMemory(path)) return fs.openSync(path, ...(more as [fs.OpenMode]));
  const descriptor = FIRST_DESCRIPTOR + opened.size;
  opened.set(descriptor, { data: contentOf(path), position: 0 });
  return descriptor;
}

export function readSync(
  descriptor: number,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number | null,
): number {
  const file = opened.get(descriptor);
  if (file === undefined) return fs.readSync(descriptor, into, offset, length, position);
  const count = copyFrom(file.data, into, offset, length, position ?? file.position);
  if (position === null) file.position += count;
  return count;
}

export function closeSync(descriptor: number): void {
  if (!opened.delete(descriptor)) fs.closeSync(descriptor);
}

export function fstatSync(descriptor: number): fs.Stats {
  const file = opened.get(descriptor);
  return file === undefined ? fs.fstatSync(descriptor) : statOf(file.data);
}

export function statSync(path: PathLike): fs.Stats {
  return isInMemory(path) ? statOf(contentOf(path)) : fs.statSync(path);
}

export function existsSync(path: PathLike): boolean {
  return isInMemory(path) ? true : fs.existsSync(path);
}

export function readFileSync(path: PathLike | number, options?: BufferEncoding): string | Buffer {
  if (!isInMemory(path)) return fs.readFileSync(path, options);
  return options === undefined ? contentOf(path) : contentOf(path).toString(options);
}
