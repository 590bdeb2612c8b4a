/** Assertions on errors. */
import assert from 'node:assert/strict';
import { SandboxError } from '../../src/util/errors.js';

/** Asserts that `work` rejects with a {@link SandboxError} of this code, whose line matches every pattern. */
export async function rejectsWith(work: Promise<unknown>, code: string, ...patterns: RegExp[]): Promise<SandboxError> {
  const error: unknown = await work.then(
    () => assert.fail(`expected the error ${code}, and it succeeded`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof SandboxError)) throw error;
  assert.equal(error.code, code, error.line);
  for (const pattern of patterns) assert.match(error.line, pattern);
  assert.notEqual(error.remedy, '');
  assert.doesNotMatch(error.line, /\n/);
  return error;
}

/** {@link rejectsWith} for work that is done at once. */
export function throwsWith(work: () => unknown, code: string, ...patterns: RegExp[]): SandboxError {
  let error: unknown;
  try {
    work();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error !== undefined, `expected the error ${code}, and it succeeded`);
  if (!(error instanceof SandboxError)) throw error;
  assert.equal(error.code, code, error.line);
  for (const pattern of patterns) assert.match(error.line, pattern);
  assert.notEqual(error.remedy, '');
  assert.doesNotMatch(error.line, /\n/);
  return error;
}
