/** The two kinds of failure that a configuration has, and how a thing is named in their messages. */
import { SandboxError } from '../util/errors.js';

/**
 * A value given to an option that cannot be used.
 * @param code kebab-case name of the failure
 * @param message what happened, to which thing
 * @param remedy what to do
 */
export function argumentError(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'arguments', code, message, remedy });
}

/** A sandbox that cannot be, or a file that does not describe one. Parameters as in {@link argumentError}. */
export function configError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy, cause });
}

/** `text` in quotation marks, on one line whatever characters it has. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
