/** Errors of a configuration: a wrong value of an option, and a sandbox that cannot exist. */
import { SandboxError } from '../util/errors.js';

/**
 * A wrong value of an option: an error of stage `arguments`.
 * @param code kebab-case name of the failure
 * @param message what is wrong, with which thing
 * @param remedy what to do
 */
export function argumentError(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'arguments', code, message, remedy });
}

/**
 * A sandbox that cannot exist, or a wrong sandbox.cfg: an error of stage `config`. Parameters as {@link argumentError}.
 */
export function configError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy, cause });
}

/** `text` in quotation marks, on one line whatever characters it has: for messages. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
