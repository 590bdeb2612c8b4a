/** Errors of those who talk to a sandbox that another process holds. */
import { quote } from '../config/errors.js';
import { SandboxError } from '../util/errors.js';

export function controlError(message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'application', code: 'control-failed', message, remedy, cause });
}

export function silentError(name: string): SandboxError {
  return controlError(
    `the process that holds the sandbox ${quote(name)} does not answer`,
    'see whether it is stopped (its PID is in virt-sandbox-ctl ps --json), and let it go on with kill -CONT PID',
  );
}

export function endedError(name: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-ended',
    message: `the sandbox ${quote(name)} has ended`,
    remedy: 'start it again',
    cause,
  });
}

export function notYoursError(name: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'not-yours',
    message: `the sandbox ${quote(name)} is another user's`,
    remedy: 'talk to it as the user who started it, or as root with USER/NAME',
    cause,
  });
}
