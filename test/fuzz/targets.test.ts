/** Each target of fuzzing in TypeScript reads inputs for about a second, and finds nothing. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { scratchDirectory } from '../helpers/scratch.js';

const SCRIPT = 'scripts/fuzz-ts.mjs';
/** A seed and a corpus that are always the same, so that a failure repeats. */
const SEED = '20261126';

interface Result {
  readonly target: string;
  readonly executions: number;
  readonly coverage: number;
  readonly findings: number;
  readonly repeat?: string;
}

const targets = execFileSync(process.execPath, [SCRIPT, '--list'], { encoding: 'utf8' }).trim().split('\n');

it(`${targets.length} targets find nothing`, async (t) => {
  const env = { ...process.env, FUZZ_RUNS: 'quick', SEED, FUZZ_CORPUS: scratchDirectory(t), JOBS: '2' };
  const options = { env, maxBuffer: 64 << 20 };
  // With a finding the status is 1; what was found is in the output.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [SCRIPT, ...targets], options).catch(
    (error: Error & { stdout: string; stderr: string }) => error,
  );
  const results = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Result);
  assert.deepEqual(
    results.filter(({ findings }) => findings > 0).map(({ target, repeat }) => ({ target, repeat })),
    [],
    stderr,
  );
  assert.deepEqual(results.map(({ target }) => target).sort(), [...targets].sort());
  for (const { target, executions, coverage } of results)
    assert.ok(executions > 0 && coverage > 0, `${target} was not instrumented, or read nothing`);
});
