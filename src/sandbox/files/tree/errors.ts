/** Errors of copies between host and sandbox. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { messageOf, SandboxError } from '../../../util/errors.js';
import type { BuiltinError } from '../../process/builtin.js';
import type { Tally } from './tally.js';

/** What was to be copied is nothing that can be; the message says why. */
export class SkippedRootError extends Error {
  override readonly name = 'SkippedRootError';
}

/** A copy, for its errors. */
export interface Copy {
  /** With the side that each is on: `/srv/a in the sandbox`. */
  readonly from: string;
  readonly to: string;
  readonly tally: Tally;
}

/** How much of a path errors show, in characters: a guest may send any. */
const SHOWN_CHARACTERS = 500;

const CODES: Readonly<Record<string, string>> = {
  ENOENT: 'file-not-found',
  EACCES: 'permission-denied',
  EPERM: 'permission-denied',
  EROFS: 'permission-denied',
  EISDIR: 'file-exists',
  EEXIST: 'file-exists',
  ENOTDIR: 'not-a-directory',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
};

const REMEDIES: Readonly<Record<string, string>> = {
  'file-not-found': 'check the path; the directory in which a copy is made has to be there',
  'permission-denied': 'copy as a user who may do that (in the sandbox: the option user), or change its mode',
  'file-exists': 'remove that directory first, or choose another name for the copy',
  'not-a-directory': 'remove that file or link first, or choose another name for the copy',
  'no-space': 'make room there, or copy to a file system that has more',
};

const REASONS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a directory, and what is copied there is none',
  ENOTDIR: 'it is no directory, and a directory is copied there, or the path leads through it',
  ENOENT: 'there is no such file',
  EROFS: 'it is read-only, as the root of a sandbox is',
  ENOSPC: 'no space is left',
};

/** The error of a system call on the host. @param path what it was about */
export function hostError(copy: Copy, path: string, error: NodeJS.ErrnoException): SandboxError {
  return callError(copy, `${path} on the host`, error.code ?? '', messageOf(error), error);
}

/** The report of a program of the init. */
export function guestError(copy: Copy, error: BuiltinError): SandboxError {
  const path = /^\w+\((.*)\)$/s.exec(error.what)?.[1] ?? error.what;
  const name = NAMES.get(error.errno) ?? '';
  const text = getSystemErrorMap().get(-error.errno)?.[1] ?? `error ${error.errno}`;
  return callError(copy, `${path.slice(0, SHOWN_CHARACTERS)} in the sandbox`, name, text, error);
}

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function callError(copy: Copy, what: string, name: string, text: string, cause: unknown): SandboxError {
  const code = CODES[name] ?? 'copy-failed';
  return failure(copy, code, `${what}: ${REASONS[name] ?? text}`, REMEDIES[code] ?? 'see why, and try again', cause);
}

/** @param reason why nothing can be copied */
export function skippedError(copy: Copy, reason: string): SandboxError {
  return failure(copy, 'copy-failed', reason, 'name a file, a directory, a link or a FIFO');
}

/** @param what is wrong with it */
export function malformedError(copy: Copy, what: string, cause?: unknown): SandboxError {
  const why = `the sandbox sent what is no tree (${what})`;
  return failure(
    copy,
    'tree-malformed',
    why,
    'do not trust what runs in this sandbox: its root has changed its init',
    cause,
  );
}

export function tooLargeError(copy: Copy, most: number): SandboxError {
  return failure(copy, 'copy-too-large', `it is more than ${most} bytes`, 'give a larger maxBytes, or copy less');
}

function failure({ from, to, tally }: Copy, code: string, why: string, remedy: string, cause?: unknown): SandboxError {
  const { files, bytes } = tally;
  const before = files === 0 ? '' : `; ${files} files with ${bytes} bytes were begun until then`;
  const message = `${from} could not be copied to ${to}: ${why}${before}`;
  return new SandboxError({ stage: 'application', code, message, remedy, cause });
}
