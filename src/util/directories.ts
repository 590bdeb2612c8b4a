/** Making directories. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from './errors.js';
import { absolutePath } from './working-directory.js';

/**
 * Makes a directory and those above it that are missing. Node's own way, `recursive`, never returns where a parent is there and mkdir(2) says
 * ENOENT, as below /proc.
 * @returns the first that was made; undefined where all were there
 * @throws the error of the system call that failed; {@link absolutePath}'s
 */
export function makeDirectories(path: string, mode = 0o777): string | undefined {
  const missing: string[] = [];
  let at = absolutePath(path);
  while (!exists(at) && at !== dirname(at)) {
    missing.push(at);
    at = dirname(at);
  }
  // What comes first is the highest.
  const made = missing.reverse().filter((directory) => make(directory, mode));
  if (missing.length === 0) make(at, mode);
  return made[0];
}

/** Whether something has the name, whatever it is. */
function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** @returns whether it was not there */
function make(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    // Another process may have been faster.
    const isThere = isSystemError(error, 'EEXIST') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (isThere) return false;
    throw error;
  }
}
