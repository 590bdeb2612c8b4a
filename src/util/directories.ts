/** Making directories. */
import { chmodSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from './errors.js';
import { absolutePath } from './working-directory.js';

/**
 * Makes a directory, and the missing ones above it. Node's own option `recursive` never returns if a parent exists and
 * mkdir(2) still fails with ENOENT, as below /proc.
 *
 * @returns the highest directory that was made; undefined if all existed
 * @throws the error of the system call that failed; errors of {@link absolutePath}
 */
export function makeDirectories(path: string, mode = 0o777): string | undefined {
  const missing: string[] = [];
  let at = absolutePath(path);
  while (!exists(at) && at !== dirname(at)) {
    missing.push(at);
    at = dirname(at);
  }
  // Highest first.
  const made = missing.reverse().filter((directory) => make(directory, mode));
  if (missing.length === 0) make(at, mode);
  return made[0];
}

/**
 * Lets everybody enter a directory of root's that nobody else can enter: QEMU has a user of its own. A process with
 * another umask may have been killed before it could. Other modes are somebody's choice.
 * @throws the error of a system call
 */
export function openToAll(directory: string): void {
  if (process.geteuid?.() !== 0) return;
  const found = lstatSync(directory);
  if (found.isDirectory() && found.uid === 0 && (found.mode & 0o7777) === 0o700) chmodSync(directory, 0o755);
}

/** True if something has the name. */
function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** @returns false if the directory existed already */
function make(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    // Another process may have made it since.
    const isThere = isSystemError(error, 'EEXIST') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (isThere) return false;
    throw error;
  }
}
