/** Where a copy goes: as cp(1) has it. */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { bytesOf } from '../../../util/raw-text.js';

/** The name under which a source goes into a directory; empty if its content does: of `SRC/.`, `..` and `/`. */
export function nameOf(source: string): string {
  const name = basename(source);
  return name === '.' || name === '..' ? '' : name;
}

/** Where on the host a tree is made. */
export interface Place {
  readonly directory: string;
  /** `.` for the directory itself. */
  readonly name: Buffer;
  /** The tree has to be a directory. */
  readonly isDirectory: boolean;
}

/**
 * The kernel alone resolves the path: in text, `link/..` would be another directory.
 * @param name of the source: {@link nameOf}
 * @throws the error of a system call
 */
export function placeOf(destination: string, name: string): Place {
  if (statSync(bytesOf(destination), { throwIfNoEntry: false })?.isDirectory() === true)
    return { directory: destination, name: bytesOf(name || '.'), isDirectory: name === '' };
  if (destination === '') throw Object.assign(new Error('it is empty'), { code: 'ENOENT' });
  return {
    directory: dirname(destination),
    name: bytesOf(basename(destination)),
    isDirectory: destination.endsWith('/'),
  };
}
