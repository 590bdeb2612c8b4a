/** Errors of services. */
import { quote } from '../config/errors.js';
import { SandboxError } from '../util/errors.js';

/** @param cause the error that is behind it */
export function serviceError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'service', code, message, remedy, cause });
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
