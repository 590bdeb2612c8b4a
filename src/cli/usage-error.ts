/** The failure of a wrong command line. */
import { SandboxError } from '../util/errors.js';

/**
 * @param program its name, for the remedy
 * @returns an error of stage `arguments` and code `usage`
 */
export function usageError(message: string, program: string): SandboxError {
  return new SandboxError({ stage: 'arguments', code: 'usage', message, remedy: `see ${program} --help` });
}
