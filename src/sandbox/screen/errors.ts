/** Errors of a screen. */
import { SandboxError } from '../../util/errors.js';

export function screenError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'application', code, message, remedy, cause });
}
