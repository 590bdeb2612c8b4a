/** `--env KEY[=VALUE]`. */
import { argumentError, quote } from '../failure.js';
import type { EnvironmentVariable } from '../types.js';
import { splitOnce } from './text.js';

const REMEDY = 'write --env KEY=VALUE, where VALUE may be empty, or KEY for a variable that is set here';

/**
 * Reads one variable. The key ends at the first `=`, the value is everything after it; a key alone has the value that it has in this process.
 * @throws SandboxError `env-value-missing` without `=` where this process has no such variable, `env-key-missing` without a key
 */
export function parseEnv(text: string): EnvironmentVariable {
  const [key, value] = splitOnce(text, '=') ?? [text, inherited(text)];
  if (value === undefined && key !== '') {
    throw argumentError(
      'env-value-missing',
      `environment variable ${quote(text)} is given no value, and is not set here`,
      REMEDY,
    );
  }
  if (key === '' || value === undefined)
    throw argumentError('env-key-missing', `environment variable ${quote(text)} has no name`, REMEDY);
  return { key, value };
}

/** What is in the prototype of `process.env` is no variable. */
function inherited(key: string): string | undefined {
  return Object.hasOwn(process.env, key) ? process.env[key] : undefined;
}

/** The variables by name. A name that is there twice has the value it was given last. */
export function environmentRecord(variables: readonly EnvironmentVariable[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ key, value }) => [key, value]));
}
