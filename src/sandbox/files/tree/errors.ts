/** Errors of copies between host and sandbox. */
import { messageOf, SandboxError } from '../../../util/errors.js';
import type { BuiltinError } from '../../process/builtin.js';
import { errnoName, errnoText, meaningOf } from '../errnos.js';
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

/** The error of a system call on the host. @param path what it was about */
export function hostError(copy: Copy, path: string, error: NodeJS.ErrnoException): SandboxError {
  const call = { name: error.syscall ?? '', of: `${path} on the host`, errno: error.code ?? '' };
  return callError(copy, call, messageOf(error), error);
}

/** The report of a program of the init. */
export function guestError(copy: Copy, error: BuiltinError): SandboxError {
  const [, name = '', path = error.what] = /^(\w+)\((.*)\)$/s.exec(error.what) ?? [];
  const call = { name, of: `${path.slice(0, SHOWN_CHARACTERS)} in the sandbox`, errno: errnoName(error.errno) };
  return callError(copy, call, errnoText(error.errno), error);
}

/** A system call that failed. */
interface Call {
  /** `symlink` */
  readonly name: string;
  /** What it was about, and on which side. */
  readonly of: string;
  /** `EPERM` */
  readonly errno: string;
}

/** What a file system does not have, by the calls that make it. They say EPERM then. */
const MISSING: Readonly<Record<string, string>> = { symlink: 'symbolic links', mkfifo: 'FIFOs' };

/** @param text for an error of which nothing better is known */
function callError(copy: Copy, { name, of, errno }: Call, text: string, cause: unknown): SandboxError {
  const missing = MISSING[name];
  if (missing !== undefined && (errno === 'EPERM' || errno === 'ENOTSUP' || errno === 'EOPNOTSUPP')) {
    const why = `${of}: the file system there has no ${missing}`;
    return failure(copy, 'copy-failed', why, 'leave them out, or copy to another file system', cause);
  }
  const meaning = meaningOf(errno);
  const code = meaning.copy?.code ?? meaning.code;
  const remedy = meaning.copy?.remedy ?? meaning.remedy;
  const why = `${of}: ${meaning.copy?.reason ?? text}`;
  // `file-failed` is of one file.
  return failure(copy, code === 'file-failed' ? 'copy-failed' : code, why, remedy, cause);
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
