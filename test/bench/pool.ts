/** Benchmark `pool`: what a take costs beside a start, and a command of a running sandbox. `takes`: a thousand in a row. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { summarize } from '../../src/bench/result/statistics.js';
import { COLD } from '../../src/bench/run/baseline.js';
import { Sandbox, SandboxPool } from '../../src/index.js';
import type { Context } from './context.js';
import { poolShellRows } from './pool-shell.js';
import { forInformation, type Quantity, quantity, type Row, timesAsLong, timesTheRate, within } from './row.js';
import { timed } from './run.js';
import { type Environment, inStoreWithSnapshot } from './store.js';

const WARM = ['--boot', 'warm'];
const TRUE = ['/bin/true'];
const MIB = 2 ** 20;
const SIZE = 4;
const AT_ONCE = 20;
const TAKES = 1000;
/** Of the first takes, whose memory does not count. */
const WARM_UP = 50;
const BYTES = 256 * MIB;
/** What a second command may take beside its share of the guest, in milliseconds. */
const ALLOWANCE_MS = 10;
const LOOP = 20;
/** A start of a pool of 20 on two processors. */
const PATIENCE_MS = 300_000;

const connect = 'qemu:///embed';

export async function poolRows(context: Context): Promise<Row[]> {
  return inStore(context, async (environment) => [
    ...(await takeRows(context, environment)),
    ...(await poolShellRows(context, connect, environment)),
    ...(await commandRows(context)),
    ...(await atOnceRows(context)),
  ]);
}

/** What of {@link poolRows} is of the shell. */
export async function poolShellAlone(context: Context): Promise<Row[]> {
  return inStore(context, (environment) => poolShellRows(context, connect, environment));
}

/** @returns how many a second, and whether memory and descriptors stay */
export async function takesRows(context: Context): Promise<Row[]> {
  return inStore(context, async () => {
    const rate = await restoreRate(context);
    await using pool = await SandboxPool.create({ size: SIZE, connect });
    for (let warmUp = 0; warmUp < WARM_UP; warmUp += 1) await takeOne(pool);
    await pool.filled();
    const [descriptors, memory] = [readdirSync('/proc/self/fd').length, process.memoryUsage.rss()];
    const begun = performance.now();
    for (let take = 1; take <= TAKES; take += 1) {
      await takeOne(pool);
      if (take % 50 === 0) context.progress(`${take} takes: ${Math.round(process.memoryUsage.rss() / 1e6)} MB`);
    }
    const takes = (TAKES / (performance.now() - begun)) * 1000;
    await pool.filled();
    const more = readdirSync('/proc/self/fd').length - descriptors;
    const what = `${TAKES} takes in a row`;
    const restores = { name: 'restores, one after the other', amount: rate, unit: '/s' as const };
    return [
      timesTheRate(`${what}, takes a second`, { amount: takes, unit: '/s' }, restores, 0.9),
      within(
        `${what}: the program's memory grows by`,
        { amount: (process.memoryUsage.rss() - memory) / 1e6, unit: 'MB' },
        32,
      ),
      within(`${what}: further descriptors`, { amount: more, unit: '' }, 0),
    ];
  });
}

/** A take and a command, in turns with whole starts. */
async function takeRows({ program, runs, progress }: Context, environment: Environment): Promise<Row[]> {
  await using pool = await SandboxPool.create({ size: SIZE, connect });
  const [takes, both, colds, warms]: number[][] = [[], [], [], []];
  const start = (how: readonly string[]) =>
    timed({ label: how.join(' '), argv: [program, ...how, '-c', connect, '--', ...TRUE], environment });
  for (let round = 0; round <= runs; round += 1) {
    await pool.filled();
    const { seconds: cold } = await start(COLD);
    const { seconds: warm } = await start(WARM);
    const { take, whole } = await takeOne(pool);
    progress(
      `cold ${cold.toFixed(3)} s, warm ${warm.toFixed(3)} s, take ${take.toFixed(1)} and ${whole.toFixed(1)} ms`,
    );
    if (round === 0) continue;
    colds?.push(cold * 1000);
    warms?.push(warm * 1000);
    takes?.push(take);
    both?.push(whole);
  }
  await pool.filled();
  const { privateBytesPerMember = 0 } = await pool.stats();
  const milliseconds = (values: number[] | undefined) => quantity(summarize(values ?? []), 'ms');
  const what = '`pool.take()` and `/bin/true`';
  return [
    timesAsLong(what, milliseconds(both), { name: 'cold', ...milliseconds(colds) }, 0.07),
    timesAsLong(what, milliseconds(both), { name: 'warm', ...milliseconds(warms) }, 0.25),
    forInformation('`pool.take()`', milliseconds(takes)),
    within('memory of one that waits, private to it', { amount: privateBytesPerMember / MIB, unit: 'MiB' }, 40),
  ];
}

/** Takes one, runs a command in it, and ends it. @returns milliseconds */
async function takeOne(pool: SandboxPool): Promise<{ readonly take: number; readonly whole: number }> {
  const begun = performance.now();
  const sandbox = await pool.take();
  const taken = performance.now();
  assert.equal((await sandbox.run(TRUE)).exitCode, 0);
  const ended = performance.now();
  await sandbox.stop();
  return { take: taken - begun, whole: ended - begun };
}

async function commandRows({ runs, progress }: Context): Promise<Row[]> {
  await using sandbox = await Sandbox.create({ connect });
  const script = `i=0; while [ $i -lt ${LOOP} ]; do /bin/true; i=$((i+1)); done`;
  const [ours, shell]: number[][] = [[], []];
  for (let round = 0; round <= runs; round += 1) {
    // What the shell itself takes to start is in the loop of none.
    const empty = (await sandbox.run(['sh', '-c', script.replace(`-lt ${LOOP}`, '-lt 0')])).milliseconds;
    const loop = (await sandbox.run(['sh', '-c', script])).milliseconds;
    const begun = performance.now();
    for (let one = 0; one < LOOP; one += 1) await sandbox.run(TRUE);
    const each = (performance.now() - begun) / LOOP;
    progress(`a command ${each.toFixed(1)} ms, the guest's shell ${((loop - empty) / LOOP).toFixed(1)} ms`);
    if (round === 0) continue;
    ours?.push(each - ALLOWANCE_MS);
    shell?.push((loop - empty) / LOOP);
  }
  const less = quantity(summarize(ours ?? []), 'ms');
  const inside = quantity(summarize(shell ?? []), 'ms');
  return [
    timesAsLong(`a further command, less ${ALLOWANCE_MS} ms`, less, { name: "the guest's own shell", ...inside }, 1.3),
    ...(await transferRows(sandbox)),
  ];
}

async function transferRows(sandbox: Sandbox): Promise<Row[]> {
  const rate = (milliseconds: number): Quantity => ({ amount: (BYTES / MIB / milliseconds) * 1000, unit: 'MiB/s' });
  const out = await sandbox.run(['head', '-c', String(BYTES), '/dev/zero'], { maxBuffer: BYTES });
  assert.equal(out.stdout.length, BYTES);
  const into = await sandbox.run(['wc', '-c'], { input: Buffer.alloc(BYTES) });
  assert.equal(Number(into.stdout), BYTES);
  return [
    forInformation('256 MiB out of a sandbox through `run`', rate(out.milliseconds)),
    forInformation('256 MiB into it through `run`', rate(into.milliseconds)),
  ];
}

/** From a full pool, and from an empty one, whose sandboxes are restored meanwhile. */
async function atOnceRows({ progress }: Context): Promise<Row[]> {
  const warm = await together(progress, async () => {
    await using sandbox = await Sandbox.create({ connect, boot: 'warm', bootTimeout: PATIENCE_MS });
    await sandbox.run(TRUE);
  });
  await using pool = await SandboxPool.create({ size: AT_ONCE, connect, bootTimeout: PATIENCE_MS });
  await pool.filled();
  const full = await together(progress, () => takeOne(pool));
  const empty = await together(progress, () => takeOne(pool));
  const restores = { name: `${AT_ONCE} warm \`Sandbox.create\``, amount: warm, unit: '/s' as const };
  const what = `${AT_ONCE} takes at once`;
  return [
    forInformation(`${what} of a full pool, a second`, { amount: full, unit: '/s' }, restores),
    forInformation(`${what} of one that is being filled`, { amount: empty, unit: '/s' }, restores),
  ];
}

async function together(progress: Context['progress'], one: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const rate = (AT_ONCE / (performance.now() - begun)) * 1000;
  progress(`${AT_ONCE} at once: ${rate.toFixed(2)} a second`);
  return rate;
}

/** Warm starts a second, one after the other. */
async function restoreRate({ runs, progress }: Context): Promise<number> {
  const begun = performance.now();
  for (let run = 0; run < runs; run += 1) {
    await using sandbox = await Sandbox.create({ connect, boot: 'warm' });
    await sandbox.run(TRUE);
  }
  const rate = (runs / (performance.now() - begun)) * 1000;
  progress(`${rate.toFixed(2)} restores a second`);
  return rate;
}

function inStore(context: Context, measure: (environment: Environment) => Promise<Row[]>): Promise<Row[]> {
  // Each slot that no sandbox of the pool uses would take memory of each that waits.
  return inStoreWithSnapshot(context, 'pool', ['--slots', 'mounts=0', '-c', connect], measure);
}
