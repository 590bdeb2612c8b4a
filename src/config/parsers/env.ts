/** `--env KEY[=VALUE]`. */
import { argumentError, quote } from '../errors.js';
import type { EnvironmentVariable } from '../types.js';
import { splitOnce } from './text.js';

const REMEDY = 'write --env KEY=VALUE, where VALUE may be empty, or KEY for a variable that is set here';

/**
 * Reads one variable. The key ends at the first `=`; everything after it is the value. A key alone takes the value from
 * this process.
 * @throws SandboxError `env-key-missing` without a key, `env-value-missing` for a key alone that is not set here
 */
export function parseEnv(text: string): EnvironmentVariable {
  const [key, value] = splitOnce(text, '=') ?? [text, inherited(text)];
  if (value === undefined && key !== '') {
    throw argumentError(
      'env-value-missing',
      `environment variable ${quote(text)} has no value and is not set here`,
      REMEDY,
    );
  }
  if (key === '' || value === undefined)
    throw argumentError('env-key-missing', `environment variable ${quote(text)} has no name`, REMEDY);
  return { key, value };
}

/** Own properties only: names such as `toString` come from the prototype of `process.env`. */
function inherited(key: string): string | undefined {
  return Object.hasOwn(process.env, key) ? process.env[key] : undefined;
}

/** The variables by name. Of a name that is given twice the last value counts. */
export function environmentRecord(variables: readonly EnvironmentVariable[]): Record<string, string> {
  return Object.fromEntries(variables.map(({ key, value }) => [key, value]));
}
