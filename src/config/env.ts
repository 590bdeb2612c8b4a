/** `--env KEY=VALUE`. */
import { argumentError, quote } from './failure.js';
import { splitOnce } from './text.js';
import type { EnvironmentVariable } from './types.js';

const REMEDY = 'write --env KEY=VALUE, where VALUE may be empty';

/**
 * Reads one variable. The key ends at the first `=`, the value is everything after it.
 * @throws SandboxError `env-value-missing` without `=`, `env-key-missing` without a key
 */
export function parseEnv(text: string): EnvironmentVariable {
  const parts = splitOnce(text, '=');
  if (parts === undefined) {
    throw argumentError('env-value-missing', `environment variable ${quote(text)} has no value`, REMEDY);
  }
  const [key, value] = parts;
  if (key === '') throw argumentError('env-key-missing', `environment variable ${quote(text)} has no name`, REMEDY);
  return { key, value };
}

/** The variables by name. A name that is there twice has the value it was given last. */
export function environmentRecord(variables: readonly EnvironmentVariable[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ key, value }) => [key, value]));
}
