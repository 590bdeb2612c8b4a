/** A directory of the host that is made and entered where others may exchange it in between. */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { isSystemError } from '../../../util/errors.js';
import { callError, MOVED } from './calls.js';
import type { Descent } from './descent.js';
import { unfinishedName } from './unfinished.js';

const NO_NAME = Buffer.alloc(0);

/**
 * Makes a directory that only its owner may enter, or takes the one that is there, and enters it.
 * @returns whether it was not there, and is empty
 * @throws the error of a system call: ESTALE if it made one, and what has the name now is another user's. So nobody
 *   leads what is made in it to a directory of theirs.
 */
export function makeDirectory(descent: Descent, name: Buffer): boolean {
  const isMade = make(descent.path(name));
  const above = descent.path(unfinishedName());
  descent.enter(name);
  if (!isMade) return false;
  const { uid } = fstatSync(descent.fd);
  if (uid !== process.geteuid?.() && uid !== ownerOfFilesAt(above)) throw callError(MOVED);
  // Another copy may work there already, or it is another directory of this user.
  return readdirSync(descent.path(NO_NAME)).length === 0;
}

function make(path: Buffer): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Whose is what this process makes there? A file system may give all files to another user. */
function ownerOfFilesAt(path: Buffer): number {
  const fd = openSync(path, 'wx', 0o600);
  try {
    return fstatSync(fd).uid;
  } finally {
    closeSync(fd);
    rmSync(path, { force: true });
  }
}
