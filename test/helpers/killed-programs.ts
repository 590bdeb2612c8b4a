/** Programs that a program starts and that are traced, each alone: real ones, behind their own names in PATH. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import { findInPath } from '../../src/util/programs.js';
import { hasKilled, killAtWords } from './killing/kill-at.js';
import { othersThan, type Step, withAlternatives } from './killing.js';
import { leftAtLast } from './leftovers.js';
import { holdsDuring } from './meanwhile.js';
import type { Running, RunOptions } from './run.js';
import { scratchDirectory } from './scratch.js';

/** Gives the environment in which a program is started behind these words, by whoever starts it. */
export type TracedProgram = (through: readonly string[]) => NonNullable<RunOptions['env']>;

export function tracedProgram(t: TestContext, name: string): TracedProgram {
  const directory = scratchDirectory(t);
  const real = findInPath(name) ?? assert.fail(`${name} is not in PATH`);
  const script = join(directory, name);
  return (through) => {
    writeFileSync(script, `#!/bin/sh\nexec ${through.join(' ')} ${real} "$@"\n`);
    chmodSync(script, 0o755);
    return { PATH: `${directory}:${process.env['PATH']}` };
  };
}

/** A program that stands still at a step. */
export interface StoppedProgram {
  /** Whoever has started it. */
  readonly caller: Running;
  /** Lets it go on, and waits until it has ended. */
  end(): Promise<void>;
}

/** @param begin starts its caller. @param step each of its threads counts for itself */
export async function stoppedProgram(
  t: TestContext,
  traced: TracedProgram,
  { call, when }: Step,
  begin: (env: NonNullable<RunOptions['env']>) => Running,
): Promise<StoppedProgram> {
  const log = join(scratchDirectory(t), 'stopped');
  const words = [
    'strace',
    '-f',
    '-qq',
    '-o',
    log,
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:signal=STOP:when=${when}`,
  ];
  const caller = begin(traced([...words, '--']));
  const stops = () => /^(\d+) +--- stopped by SIGSTOP ---$/m.exec(valueOr(() => readFileSync(log, 'latin1'), ''));
  await holdsDuring(caller.result, () => stops() !== null);
  // What strace(1) names is a thread, which may end before its process does.
  const status = readFileSync(`/proc/${stops()?.[1]}/status`, 'latin1');
  const pid = Number(/^Tgid:\s+(\d+)$/m.exec(status)?.[1] ?? assert.fail(status));
  t.after(() => valueOr(() => process.kill(pid, 'SIGKILL'), false));
  const goesOn = () => (valueOr(() => process.kill(pid, 'SIGCONT'), false) ? [`${pid}`] : []);
  return { caller, end: async () => assert.deepEqual(await leftAtLast(goesOn), []) };
}

/**
 * Traces a process that runs, and none that it starts from then on. Resolves when each of its threads is traced.
 * @param step kills it there; undefined: nothing does
 * @returns traces it no more
 */
export async function traceRunning(
  t: TestContext,
  pid: number,
  { calls, log, step }: { readonly calls: readonly string[]; readonly log: string; readonly step?: Step | undefined },
): Promise<() => Promise<void>> {
  const all = withAlternatives(calls);
  const counted = step === undefined ? [...all, ...othersThan(all)] : [step.call];
  const [program = '', ...words] = killAtWords({ calls: counted, when: step?.when, log });
  const tracer = spawn(program, [...words, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => tracer.kill('SIGKILL'));
  let told = '';
  const ended = new Promise<void>((resolve) => tracer.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    tracer.once('error', reject);
    tracer.once('close', () => reject(new Error(`kill-at has ended: ${told}`)));
    tracer.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text;
      if (told.includes('attached\n')) resolve();
    });
  });
  return async () => {
    // Between its words and the kill it must not end.
    if (!hasKilled(log)) tracer.kill('SIGKILL');
    await ended;
  };
}
