/** Has an emulated machine that is a KVM host measure, as `virt-sandbox-bench nested` has it. */
import { mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writtenInside } from '../../../../src/bench/nested/exchange.js';
import { checkMemory, EXCHANGE, LateMachine, machineArgv, runMachine } from '../../../../src/bench/nested/machine.js';
import type { Context } from '../../context.js';
import { type InsideResult, parseInside } from './result.js';
import { makeRoot } from './root.js';

/** For a guest of 1 GiB, what serves its files, and the files themselves. */
export const MACHINE_MEMORY = '4G';
const RESULT = 'result.json';
/** For its boot, the files, and what runs when the time is over. A machine that takes longer has hung. */
const MORE_MINUTES = 6;

export interface NestedResult extends InsideResult {
  /** Load averages of the real host: in `host` that before, and this one after. */
  readonly loadAfter: number;
  /** How long it took, all in all, in minutes. */
  readonly took: number;
}

export async function measureNested({
  program,
  runs,
  scale,
  minutes,
  progress,
  scratch,
}: Context): Promise<NestedResult> {
  checkMemory(MACHINE_MEMORY);
  const [begun, load] = [performance.now(), loadavg()[0] ?? 0];
  progress('copying the programs of this host to an image');
  const root = makeRoot(scratch);
  // The machine has the name of the directory.
  const exchange = join(scratch, `data-nested-${process.pid}`);
  mkdirSync(exchange);
  const script = fileURLToPath(new URL('./inside.js', import.meta.url));
  const inside = {
    programs: dirname(program),
    command: [process.execPath, script, program, ...[runs, scale, minutes].map(String), `${EXCHANGE}/${RESULT}`],
    snapshots: [],
  };
  progress(`starting a machine with ${MACHINE_MEMORY} of memory`);
  const machine = { memory: MACHINE_MEMORY, mounts: [`host-image:/=${root}`] };
  const limitMs = (minutes + MORE_MINUTES) * 60_000;
  const argv = machineArgv(machine, exchange, inside);
  const late = await runMachine(argv, new AbortController().signal, limitMs).then(
    (status) => {
      if (status !== 0) throw new Error(`the emulated machine ended with status ${status}`);
    },
    (error: unknown) => {
      if (!(error instanceof LateMachine)) throw error;
      progress(error.message);
      return error;
    },
  );
  const text = writtenInside(exchange, RESULT);
  if (text === undefined) throw late ?? new Error('the emulated machine wrote no result');
  const result = parseInside(text);
  return {
    ...result,
    host: { ...result.host, load },
    loadAfter: loadavg()[0] ?? 0,
    took: Math.round((performance.now() - begun) / 60_000),
  };
}
