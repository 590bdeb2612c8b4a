/** Runs virt-sandbox-bake as a person or a script would. */
import assert from 'node:assert/strict';
import { PROGRAM, type RunOptions, type RunResult, runSandbox } from './run.js';

/** Runs `virt-sandbox-bake ARGS` to its end. @param cache its XDG_CACHE_HOME */
export function runBake(cache: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { program = PROGRAM, env } = options;
  return runSandbox(args, { ...options, program: `${program}-bake`, env: { ...env, XDG_CACHE_HOME: cache } });
}

/** Runs `virt-sandbox-bake ARGS --json`, which must succeed. @returns what it printed */
export async function bakeJson<T>(cache: string, args: readonly string[], options: RunOptions = {}): Promise<T> {
  const result = await runBake(cache, [...args, '--json'], options);
  assert.deepEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' });
  return JSON.parse(result.out) as T;
}
