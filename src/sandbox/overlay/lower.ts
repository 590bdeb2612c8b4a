/** The root below an overlay, on the host: how its directories are entered, where names may be gone at any time. */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { isSystemError } from '../../util/errors.js';
import { Descent } from '../files/tree/descent.js';

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

const DOT = 0x2e;

/**
 * Opens the directory that a redirect names: from the top of the root, or beside the directory. A guest has written it, so
 * no link is followed, and nothing above is reached.
 * @param beside what the directory's own one lies over; undefined: nothing
 * @returns for the caller to close; undefined: there is no such directory
 */
export function openRedirect(redirect: Buffer, root: string, beside: Descent | undefined): Descent | undefined {
  const isAbsolute = redirect[0] === 0x2f;
  const names = splitPath(isAbsolute ? redirect.subarray(1) : redirect);
  const top = isAbsolute ? root : beside && `/proc/self/fd/${beside.fd}`;
  if (names === undefined || top === undefined || (!isAbsolute && names.length > 1)) return undefined;
  const descent = new Descent(top);
  if (names.every((name) => enters(descent, name))) return descent;
  descent.close();
  return undefined;
}

/** Undefined: not all are names of entries. */
function splitPath(path: Buffer): Buffer[] | undefined {
  const names: Buffer[] = [];
  for (let at = 0; at <= path.length; ) {
    const slash = path.indexOf('/', at);
    const end = slash < 0 ? path.length : slash;
    const name = path.subarray(at, end);
    const isDots = name.length <= 2 && name.every((byte) => byte === DOT);
    if (isDots || name.includes(0)) return undefined;
    names.push(name);
    at = end + 1;
  }
  return names;
}
