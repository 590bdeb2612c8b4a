/** A directory reached name by name, so that a link that somebody puts on the way is not followed. */
import { chmodSync, chownSync, closeSync, constants, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from './errors.js';

/** open(2): it needs no right to read. Node does not name it. */
const O_PATH = 0o10000000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Opens a directory, and makes it and those above it that are missing, with mode 0700 whatever the umask is.
 * @param path absolute, without `.`, `..` and symbolic links
 * @param look called with the last one, while it is open
 * @returns what `look` returns
 * @throws the error of the system call that failed: ENOTDIR for a link on the way
 */
export function inChain<T>(path: string, look: (directory: OpenDirectory) => T): T {
  let at = openSync('/', FLAGS);
  let isMade = false;
  try {
    for (const name of path.split('/').filter((part) => part !== '')) {
      const below = join(pathOf(at), name);
      isMade = isMissing(below) && make(below);
      const next = openSync(below, FLAGS);
      closeSync(at);
      at = next;
      if (isMade) chmodSync(pathOf(at), 0o700);
    }
    return look({
      isMade,
      stats: fstatSync(at),
      path: pathOf(at),
      give: (uid, gid) => chownSync(pathOf(at), uid, gid),
    });
  } finally {
    closeSync(at);
  }
}

export interface OpenDirectory {
  /** It was missing. */
  readonly isMade: boolean;
  readonly stats: Stats;
  /** Leads to the very directory, while it is open. */
  readonly path: string;
  readonly give: (uid: number, gid: number) => void;
}

function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

function isMissing(path: string): boolean {
  try {
    closeSync(openSync(path, FLAGS));
    return false;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return true;
    throw error;
  }
}

/** @returns false if another process has made it since */
function make(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}
