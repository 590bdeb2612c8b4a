/**
 * The C programs under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer: a short run of each target, the same
 * in every run of the tests. `make fuzz` runs longer and with fresh random numbers.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { REPOSITORY } from '../helpers/run.js';
import { freshDirectory } from '../helpers/scratch.js';

const SCRIPT = join(REPOSITORY, 'scripts/fuzz-c.mjs');
const SEED = '20261126';

/** Inputs for each target. One of `calls` takes as long as some thirty of a parser. */
const RUNS: Record<string, number> = { calls: 10_000, packets: 30_000, relay: 30_000 };
const RUNS_OF_PARSERS = 60_000;

interface Result {
  readonly target: string;
  readonly executions: number;
  readonly coverage: number;
  readonly findings: number;
  readonly problem?: string;
  readonly repeat?: string;
}

const targets = spawnSync(process.execPath, [SCRIPT, '--list'], { encoding: 'utf8' }).stdout.trim().split('\n');

const compiler = spawnSync('clang-19', ['--version']).status === 0;
const skip = compiler ? false : 'there is no clang-19';

describe('fuzzing of the C programs', { skip }, () => {
  const grown = freshDirectory();
  const results = new Map<string, Result>();
  let said = '';

  async function lane(names: readonly string[]): Promise<void> {
    for (const name of names) await fuzz(name);
  }

  /** Fuzzes a target and keeps its result. */
  async function fuzz(name: string): Promise<void> {
    const runs = String(RUNS[name] ?? RUNS_OF_PARSERS);
    const env = { ...process.env, FUZZ_RUNS: runs, FUZZ_SECONDS: '', FUZZ_GROWN: grown, SEED };
    const child = spawn(process.execPath, [SCRIPT, name], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      said += data;
    });
    await new Promise((resolve) => child.once('close', resolve));
    for (const line of output.split('\n').filter((text) => text !== '')) {
      const result = JSON.parse(line) as Result;
      results.set(result.target, result);
    }
  }

  // On two processors both lanes take about as long.
  before(() =>
    Promise.all([lane(['calls', 'packets']), lane(targets.filter((name) => name !== 'calls' && name !== 'packets'))]),
  );
  after(() => rmSync(grown, { recursive: true, force: true }));

  for (const target of targets) {
    it(target, () => {
      const result = results.get(target);
      assert.ok(result !== undefined, said);
      assert.equal(result.findings, 0, `${result.repeat ?? result.problem}\n${said}`);
      assert.ok(result.executions >= (RUNS[target] ?? RUNS_OF_PARSERS), `${result.executions} executions`);
      assert.ok(result.coverage > 0, 'it covers nothing');
    });
  }
});
