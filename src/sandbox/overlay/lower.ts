/** Directories of the host where names may be gone at any time: how they are looked into. */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { isSystemError } from '../../util/errors.js';
import type { Descent } from '../files/tree/descent.js';

/** Errors of a name that is gone meanwhile, is of another kind now, or that the root's file system cannot have. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENAMETOOLONG'];

/** The result of `read`; undefined if the name has gone meanwhile, or is another kind of file now. */
export function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (GONE.some((code) => isSystemError(error, code))) return undefined;
    throw error;
  }
}

export function statOf(directory: Descent, name: Buffer): BigIntStats | undefined {
  return unlessGone(() => lstatSync(directory.path(name), { bigint: true }));
}

/** Where a symbolic link leads, a byte a letter. */
export function targetOf(directory: Descent, name: Buffer): string | undefined {
  return unlessGone(() => readlinkSync(directory.path(name), 'latin1'));
}

/** False if it is gone meanwhile, is no directory any more, or is closed to this user, as it is to the sandbox. */
export function enters(directory: Descent, name: Buffer): boolean {
  const entered = unlessGone(() => unlessClosed(() => directory.enter(name)));
  return entered ?? false;
}

/** Whether `act` has had the right to do what it does. */
function unlessClosed(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (isSystemError(error, 'EACCES')) return false;
    throw error;
  }
}

/** The names in the directory that was entered last, a byte a letter. */
export function namesIn(directory: Descent): string[] {
  return readdirSync(`/proc/self/fd/${directory.fd}`, { encoding: 'latin1' });
}
