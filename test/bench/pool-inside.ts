/** What runs inside for `pool-kvm`: pool-inside.js PROGRAM RUNS FILE */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { SandboxPool } from '../../src/index.js';
import { timed } from './run.js';

/** In milliseconds. */
export interface Measured {
  readonly takes: readonly number[];
  readonly wholes: readonly number[];
  readonly warms: readonly number[];
}

const TRUE = ['/bin/true'];
const WARM = ['-c', 'qemu:///embed', '--accel', 'kvm', '--boot', 'warm'];

async function measure(program: string, runs: number): Promise<Measured> {
  const [takes, wholes, warms]: [number[], number[], number[]] = [[], [], []];
  await using pool = await SandboxPool.create({ size: 2, connect: 'qemu:///embed', acceleration: 'kvm', boot: 'warm' });
  for (let round = 0; round <= runs; round += 1) {
    await pool.filled();
    const { seconds } = await timed({ label: 'warm', argv: [program, ...WARM, '--', ...TRUE] });
    const begun = performance.now();
    const sandbox = await pool.take();
    const taken = performance.now();
    assert.equal((await sandbox.run(TRUE)).exitCode, 0);
    const ended = performance.now();
    await sandbox.stop();
    process.stderr.write(`bench: warm ${seconds.toFixed(3)} s, take and command ${(ended - begun).toFixed(1)} ms\n`);
    if (round === 0) continue;
    warms.push(seconds * 1000);
    takes.push(taken - begun);
    wholes.push(ended - begun);
  }
  return { takes, wholes, warms };
}

const [program = '', runs, file = ''] = process.argv.slice(2);
writeFileSync(file, JSON.stringify(await measure(program, Number(runs))));
