/** Checks values of a program against a schema. */
import * as v from 'valibot';
import { configError, quote } from '../../config/errors.js';
import type { SandboxError } from '../../util/errors.js';

/**
 * Checks that keys are known and that each value has the right type.
 * @param whole what the value is, for errors
 * @param known the keys that it may have
 * @throws {SandboxError} `config-key-unknown`, `config-value-invalid`
 */
export function check(schema: v.GenericSchema, value: unknown, whole: string, known: readonly string[]): void {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (!result.success) throw wrong(result.issues[0], whole, known);
}

function wrong(issue: v.BaseIssue<unknown>, whole: string, known: readonly string[]): SandboxError {
  const path = v.getDotPath(issue);
  if (path !== null && issue.expected === 'never') {
    const remedy = path.includes('.') ? 'leave it out' : `leave it out; there are ${known.join(', ')}`;
    return configError('config-key-unknown', `${whole} has the unknown key ${quote(path)}`, remedy);
  }
  const isMissing = issue.received === 'undefined';
  const what = path === null ? whole : `${quote(path)} of ${whole}`;
  // A missing key is an issue of the object that lacks it.
  const remedy =
    isMissing && path !== null && issue.type.endsWith('object') ? 'give it a value' : `let it be ${issue.message}`;
  return configError('config-value-invalid', `${what} is ${isMissing ? 'missing' : shown(issue.input)}`, remedy);
}

/** A value, shortened. */
function shown(value: unknown): string {
  if (typeof value === 'string') return quote(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
