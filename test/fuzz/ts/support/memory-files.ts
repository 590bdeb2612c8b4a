/**
 * Files in memory, for code that opens what it reads. The bundler puts these functions in the place of `node:fs` and
 * `node:fs/promises`: a path below {@link MEMORY} is looked up here, any other goes to the real function. A real file
 * for each input would take more time than the code that reads it.
 */
import type { PathLike } from 'node:fs';
import * as fs from 'node:fs';
import * as promises from 'node:fs/promises';

export const MEMORY = '/memory/';

const files = new Map<string, Buffer>();

/** Sets a file's content. @param name without {@link MEMORY} @returns its path */
export function putFile(name: string, data: Buffer): string {
  files.set(MEMORY + name, data);
  return MEMORY + name;
}

export function isInMemory(path: unknown): path is string {
  return typeof path === 'string' && path.startsWith(MEMORY);
}

/** @throws the system error ENOENT */
export function contentOf(path: string): Buffer {
  const found = files.get(path);
  if (found !== undefined) return found;
  throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: 'ENOENT', path });
}

/** What stat(2) says of a regular file of root's. */
export function statOf(data: Buffer): fs.Stats {
  return Object.assign(Object.create(fs.Stats.prototype) as fs.Stats, {
    mode: 0o100644,
    size: data.length,
    uid: 0,
    gid: 0,
  });
}

/** Copies from a file, as read(2) does. @returns the number of bytes */
export function copyFrom(data: Buffer, into: Uint8Array, offset: number, length: number, position: number): number {
  const piece = data.subarray(position, position + length);
  into.set(piece, offset);
  return piece.length;
}

export { fs, type PathLike, promises };
