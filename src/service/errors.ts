/** Errors of services. */
import { quote } from '../config/errors.js';
import { messageOf, SandboxError } from '../util/errors.js';
import { shortageOf } from '../util/shortage.js';

/** @param cause the error that is behind it */
export function serviceError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'service', code, message, remedy, cause });
}

/** Whether an error, or what a program has said of one, is that of a full disk. */
export function isFull(error: unknown): boolean {
  return shortageOf(error) === 'space' || /no space left|quota exceeded/i.test(messageOf(error));
}

export function serviceNotFound(name: string): SandboxError {
  return serviceError(
    'service-not-found',
    `there is no service ${quote(name)}`,
    'virt-sandbox-service list shows those of this user',
  );
}

/** Who has cancelled it knows. */
export function abortedError(name: string): SandboxError {
  return serviceError('aborted', `the work on the service ${quote(name)} was cancelled`, 'start it again');
}

/** Why work has failed. Ctrl+C at a terminal also ends what cancelled work has started, and that has another error. */
export function orAborted(error: unknown, name: string, signal: AbortSignal | undefined): unknown {
  return signal?.aborted ? abortedError(name) : error;
}
