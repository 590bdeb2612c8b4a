/** Benchmark `pool`, of the shell: `virt-sandbox --pool NAME -- true` beside `node -e 0`, in turns. */
import { setTimeout as delay } from 'node:timers/promises';
import { summarize } from '../../src/bench/result/statistics.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { connectPool } from '../../src/control/pool/connect.js';
import type { Context } from './context.js';
import { forInformation, quantity, type Row, within } from './row.js';
import { timed } from './run.js';
import type { Environment } from './store.js';

/** These runs are short and easily disturbed, so there are more of them. */
const TIMES_THE_RUNS = 3;
const SIZE = 2;
/** The first takes of a pool translate code that later ones find translated. */
const WARM_UP = 2;
const TARGET_MS = 150;

export async function poolShellRows(context: Context, uri: string, environment: Environment): Promise<Row[]> {
  const { program } = context;
  const name = `bench-${process.pid}`;
  const control = (...words: readonly string[]) =>
    timed({ label: words.join(' '), argv: [`${program}-ctl`, 'pool', ...words], environment });
  await control('create', name, '--size', String(SIZE), '--', '-c', uri);
  try {
    return await measure(context, name, environment);
  } finally {
    await control('rm', '--force', name);
  }
}

async function measure({ program, runs, progress }: Context, name: string, environment: Environment): Promise<Row[]> {
  const variants = [
    // As the program starts it.
    { label: 'node', argv: ['env', '-u', 'NODE_EXTRA_CA_CERTS', process.execPath, '-e', '0'] },
    { label: 'pool', argv: [program, '--pool', name, '--', 'true'] },
  ] as const;
  const [wholes, beyond]: number[][] = [[], []];
  for (let round = -WARM_UP; round < runs * TIMES_THE_RUNS; round += 1) {
    const took: Record<string, number> = {};
    for (const variant of inOrderOf(round + WARM_UP, variants)) {
      await filled(name);
      took[variant.label] = (await timed({ ...variant, environment })).seconds * 1000;
    }
    const { node = 0, pool = 0 } = took;
    progress(`virt-sandbox --pool ${pool.toFixed(0)} ms, node -e 0 ${node.toFixed(0)} ms`);
    if (round < 0) continue;
    wholes?.push(pool);
    beyond?.push(pool - node);
  }
  const what = '`virt-sandbox --pool NAME -- true`';
  return [
    forInformation(what, quantity(summarize(wholes ?? []), 'ms')),
    within(`${what}, beyond \`node -e 0\``, quantity(summarize(beyond ?? []), 'ms'), TARGET_MS),
  ];
}

/** Waits until nothing is being started. */
async function filled(name: string): Promise<void> {
  const pool = await connectPool(name);
  while ((await pool.state()).idle < SIZE) await delay(50);
  await pool.close();
}
