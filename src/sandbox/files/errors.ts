/** Errors of files inside, from what a system call there says. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';
import { BuiltinError } from '../process/builtin.js';

const { errno } = constants;

/** What is done, for errors: `read`, and the path that the caller gave. */
export interface FileAction {
  readonly action: string;
  readonly path: string;
}

interface Kind {
  readonly code: string;
  readonly remedy: string;
}

const DENIED: Kind = {
  code: 'permission-denied',
  remedy: 'see that the user inside may do that there, or name another one with the option user',
};
const FULL: Kind = { code: 'no-space', remedy: 'make room there, or give the sandbox a larger mount' };

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [errno.ENOENT, { code: 'file-not-found', remedy: 'see that the path exists inside, and where its links lead' }],
  [errno.EEXIST, { code: 'file-exists', remedy: 'name another path, or remove it first' }],
  [errno.EACCES, DENIED],
  [errno.EPERM, DENIED],
  [
    errno.EROFS,
    { code: 'permission-denied', remedy: 'it is read-only, as the root is: use /tmp, or give the sandbox a mount' },
  ],
  [errno.ENOTDIR, { code: 'not-a-directory', remedy: 'see which part of the path is a file' }],
  [errno.EISDIR, { code: 'is-a-directory', remedy: 'name a file' }],
  [errno.ENOTEMPTY, { code: 'directory-not-empty', remedy: 'remove it with recursive: true' }],
  [errno.ENOSPC, FULL],
  [errno.EDQUOT, FULL],
  [errno.EFBIG, { code: 'file-too-large', remedy: 'write less: the file system there takes no larger file' }],
  [errno.EBUSY, { code: 'file-failed', remedy: 'name what is in it: it is a mount, or in use' }],
  [errno.EXDEV, { code: 'file-failed', remedy: 'read it, write it there and remove it: these are two file systems' }],
]);

const OTHER: Kind = { code: 'file-failed', remedy: 'see what the system says' };

/** What a caller gets of an error: that of a system call inside, or of an answer that cannot be, becomes a SandboxError. */
export function fileError(error: unknown, { action, path }: FileAction): unknown {
  if (error instanceof ProtocolError) {
    return new SandboxError({
      stage: 'application',
      code: 'file-failed',
      message: `cannot ${action} ${path}: the sandbox answered with ${error.message}`,
      remedy: 'stop the sandbox: its init does not answer like that, so what runs there has taken it over',
      cause: error,
    });
  }
  if (!(error instanceof BuiltinError)) return error;
  const { code, remedy } = KINDS.get(error.errno) ?? OTHER;
  return new SandboxError({
    stage: 'application',
    code,
    message: `cannot ${action} ${path}: ${saidBy(error)}`,
    remedy,
    cause: error,
  });
}

/**
 * @param most what it has more than
 * @param remedy what to do instead
 */
export function tooLargeError({ action, path }: FileAction, most: string, remedy: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'file-too-large',
    message: `cannot ${action} ${path}: it has more than ${most}`,
    remedy,
  });
}

function saidBy({ errno, what }: BuiltinError): string {
  const shown = what.slice(0, SHOWN_CHARACTERS);
  if (errno === 0) return shown;
  return `${getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`} (${shown})`;
}
