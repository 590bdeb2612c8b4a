/** What targets expect of the code that they feed. */
import assert from 'node:assert/strict';
import { SandboxError } from '../../../../src/util/errors.js';

type ErrorClass = abstract new (...parameters: never[]) => Error;

/** The result of `work`; undefined if it throws one of the errors that it documents. */
export function valueOrRefusal<T>(work: () => T, ...refusals: readonly ErrorClass[]): T | undefined {
  try {
    return work();
  } catch (error) {
    requireRefusal(error, refusals);
    return undefined;
  }
}

/** The same for a promise. */
export async function settledOrRefused<T>(
  work: Promise<T>,
  ...refusals: readonly ErrorClass[]
): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    requireRefusal(error, refusals);
    return undefined;
  }
}

/** Plain `Error` stands for itself only: a TypeError or a RangeError is a mistake of the program. */
function requireRefusal(error: unknown, refusals: readonly ErrorClass[]): void {
  const expected = refusals.some((refusal) =>
    refusal === Error ? error instanceof Error && error.constructor === Error : error instanceof refusal,
  );
  if (!expected) throw error;
  if (error instanceof SandboxError) requireReadable(error);
}

/** An error for a user has a code and a remedy, and is one line without control characters. */
export function requireReadable(error: SandboxError): void {
  assert.match(error.code, /^[a-z0-9]+(-[a-z0-9]+)*$/);
  assert.notEqual(error.remedy, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  assert.doesNotMatch(error.line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
}
