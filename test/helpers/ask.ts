/** Many questions, one boot. */

import assert from 'node:assert/strict';
import { type RunOptions, runSandbox } from './run.js';

/**
 * Runs one sandbox in which a shell answers every question: a command each, whose output is its answer, errors included.
 * @param shell the shell inside
 */
export async function ask<T extends Readonly<Record<string, string>>>(
  args: readonly string[],
  questions: T,
  options: RunOptions & { readonly shell?: readonly string[] } = {},
): Promise<Record<keyof T, string>> {
  const script = Object.values(questions)
    .map((command) => `{ ${command}\n} 2>&1; printf '\\036'`)
    .join('\n');
  const { code, out, stderr } = await runSandbox([...args, '--', ...(options.shell ?? ['sh']), '-c', script], options);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const answers = out.split('\x1e').map((answer) => answer.trim());
  return Object.fromEntries(Object.keys(questions).map((name, index) => [name, answers[index] ?? ''])) as Record<
    keyof T,
    string
  >;
}
