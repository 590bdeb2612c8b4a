/** Errors of files inside, from what a system call there says. */
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';
import { BuiltinError } from '../process/builtin.js';
import { errnoName, errnoText, meaningOf } from './errnos.js';

/** What is done, for errors: `read`, and the path that the caller gave. */
export interface FileAction {
  readonly action: string;
  readonly path: string;
}

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
  const { code, remedy } = meaningOf(errnoName(error.errno));
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
  return errno === 0 ? shown : `${errnoText(errno)} (${shown})`;
}
