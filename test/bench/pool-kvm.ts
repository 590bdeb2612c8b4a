/**
 * Benchmark `pool-kvm`: a take and a command under KVM, in an emulated machine that is a KVM host, as
 * `virt-sandbox-bench nested` has it.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writtenInside } from '../../src/bench/nested/exchange.js';
import { checkMemory, EXCHANGE, machineArgv, runMachine } from '../../src/bench/nested/machine.js';
import { summarize } from '../../src/bench/result/statistics.js';
import type { Context } from './context.js';
import type { Measured } from './pool-inside.js';
import { forInformation, quantity, type Row, timesAsLong } from './row.js';

const MEMORY = '4G';
const RESULT = 'result.json';

export async function poolKvmRows({ program, runs, progress, scratch }: Context): Promise<Row[]> {
  checkMemory(MEMORY);
  // The machine has the name of the directory.
  const exchange = join(scratch, `pool-kvm-${process.pid}`);
  mkdirSync(exchange);
  const script = fileURLToPath(new URL('./pool-inside.js', import.meta.url));
  const inside = {
    programs: dirname(program),
    command: [process.execPath, script, program, String(runs), `${EXCHANGE}/${RESULT}`],
    snapshots: [['--slots', 'mounts=0', '--for', '--accel kvm']],
  };
  progress(`starting a machine with ${MEMORY} of memory`);
  const status = await runMachine(machineArgv({ memory: MEMORY }, exchange, inside), new AbortController().signal);
  const text = writtenInside(exchange, RESULT);
  if (text === undefined) throw new Error(`the emulated machine ended with status ${status}, and measured nothing`);
  const { takes, wholes, warms } = JSON.parse(text) as Measured;
  const milliseconds = (values: readonly number[]) => quantity(summarize([...values]), 'ms');
  const what = 'under KVM, nested: `pool.take()` and `/bin/true`';
  return [
    timesAsLong(what, milliseconds(wholes), { name: 'warm', ...milliseconds(warms) }, 0.15),
    forInformation('under KVM, nested: `pool.take()`', milliseconds(takes)),
  ];
}
