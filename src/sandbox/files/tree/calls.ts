/** Errors of system calls on the host, and what they mean for a copy. */
import { constants } from 'node:os';
import { isSystemError } from '../../../util/errors.js';

/** Of what is moved or exchanged while it is copied. */
export const MOVED = 'ESTALE';

export function callError(code: 'EISDIR' | 'ENOTDIR' | typeof MOVED): Error {
  return Object.assign(new Error(code), { code, errno: -constants.errno[code] });
}

/** Whether a file system has no such thing: modes, times, further names of a file. */
export function isRefused(error: unknown): boolean {
  return REFUSED.some((code) => isSystemError(error, code));
}

const REFUSED = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Whether a file gets no further name there. */
export function hasNoHardLinks(error: unknown): boolean {
  return isRefused(error) || isSystemError(error, 'EMLINK') || isSystemError(error, 'EXDEV');
}
