/** Benchmark `screens`: until a program with a window is seen, from a pool, warm and cold. */
import assert from 'node:assert/strict';
import { summarize } from '../../src/bench/result/statistics.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { Sandbox, SandboxPool } from '../../src/index.js';
import type { Context } from './context.js';
import { untilColoured } from './first-colour.js';
import { forInformation, quantity, type Row, timesAsLong } from './row.js';
import { inStoreWithSnapshot } from './store.js';

const connect = 'qemu:///embed';
const MIB = 2 ** 20;

/** xterm ends at once as a root without capabilities. */
const identity = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

/** One of X11, for which Xwayland starts, and one of Wayland. */
const PROGRAMS = ['xterm', 'weston-simple-shm'];

const KINDS = ['pool', 'warm', 'cold'] as const;
type Kind = (typeof KINDS)[number];

export async function screenRows(context: Context): Promise<Row[]> {
  return inStoreWithSnapshot(context, 'screens', ['--for', `-c ${connect} --graphics`], async () => {
    await using pool = await SandboxPool.create({ size: 1, identity, graphics: true, connect });
    const rows: Row[] = [];
    for (const program of PROGRAMS) rows.push(...(await rowsOf(program, pool, context)));
    await pool.filled();
    const { privateBytesPerMember = 0 } = await pool.stats();
    const memory = { amount: privateBytesPerMember / MIB, unit: 'MiB' } as const;
    return [...rows, forInformation('memory of one that waits with a screen, private to it', memory)];
  });
}

async function rowsOf(program: string, pool: SandboxPool, { runs, progress }: Context): Promise<Row[]> {
  const seconds: Record<Kind, number[]> = { pool: [], warm: [], cold: [] };
  for (let round = 0; round <= runs; round += 1) {
    for (const { label } of inOrderOf(
      round,
      KINDS.map((label) => ({ label })),
    )) {
      await pool.filled();
      const took = await firstPicture(label, program, pool);
      progress(`${program}, ${label}: ${took.toFixed(2)} s until it is seen`);
      if (round > 0) seconds[label].push(took);
    }
  }
  const [taken, warm, cold] = KINDS.map((kind) => quantity(summarize(seconds[kind]), 's'));
  assert.ok(taken && warm && cold);
  const what = (kind: string) => `${kind}, until ${program} is seen`;
  return [
    timesAsLong(what('warm'), warm, { name: 'cold', ...cold }, 0.4),
    forInformation(what('`pool.take()`'), taken, { name: 'cold', ...cold }),
    forInformation(what('`pool.take()`'), taken, { name: 'warm', ...warm }),
  ];
}

/** In seconds. */
async function firstPicture(kind: Kind, program: string, pool: SandboxPool): Promise<number> {
  const begun = performance.now();
  const options = { identity, graphics: true, command: [program] };
  await using sandbox = await (kind === 'pool'
    ? pool.take()
    : Sandbox.start({ ...options, boot: kind }, { connect, control: true }));
  const { vncSocket } = sandbox.screen;
  assert.ok(vncSocket !== undefined);
  const seen = untilColoured(vncSocket).then(() => (performance.now() - begun) / 1000);
  if (kind !== 'pool') return await seen;
  const ended = sandbox.run(program).then(({ exitCode }) => assert.fail(`${program} ended with ${exitCode}, unseen`));
  // The one that is not waited for ends with the sandbox.
  for (const one of [seen, ended]) one.catch(() => {});
  return await Promise.race([seen, ended]);
}
