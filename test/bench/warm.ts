/** Benchmark `warm`: a warm start against a cold one, and against a bare QEMU that restores the same snapshot. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Summary, summarize } from '../../src/bench/result/statistics.js';
import { bareRestore } from '../../src/bench/run/bare-restore.js';
import { COLD } from '../../src/bench/run/baseline.js';
import { virtmeArgv } from '../../src/bench/run/commands.js';
import { nativeArgv } from '../../src/bench/run/native-argv.js';
import { readSnapshot, type Snapshot } from '../../src/image/snapshot/record.js';
import type { Context } from './context.js';
import { forInformation, quantity, type Row, timesAsLong, timesFaster, within } from './row.js';
import { interleave, type Progress, timed } from './run.js';

const WARM = ['--boot', 'warm'];
const AT_ONCE = 20;
const BAKE_RUNS = 3;
/** Each run of virtme-ng takes about 20 s. */
const VIRTME_RUNS = 2;

export async function warmRows(context: Context): Promise<Row[]> {
  const { program, runs, progress, scratch, image } = context;
  // A store of its own, so that no other sandbox becomes warm.
  const environment = { XDG_CACHE_HOME: join(scratch, 'warm') };
  mkdirSync(environment.XDG_CACHE_HOME);
  const own = { environment };
  const uri = ['-c', image.uri];
  const bakeArgv: [string, ...string[]] = [`${program}-bake`, 'create', '--warm', '--json', ...uri];
  // The first bake builds the boot image too.
  await timed({ label: 'bake, image and all', argv: bakeArgv, ...own });
  const bakes = [];
  for (let run = 0; run < BAKE_RUNS; run += 1) bakes.push(await timed({ label: 'bake', argv: bakeArgv, ...own }));
  const baking = summarize(bakes.map(({ seconds }) => seconds));
  // Each snapshot replaces the one before.
  const { warm: directory, warmSize } = JSON.parse(bakes.at(-1)?.stdout ?? '') as { warm: string; warmSize: number };
  const snapshot = readSnapshot(directory);
  if (snapshot === undefined) throw new Error(`${directory} is no snapshot`);

  const seconds = await interleave(
    [
      { label: 'cold', argv: [program, ...COLD, ...uri, '--', '/bin/true'], ...own },
      { label: 'warm', argv: [program, ...WARM, ...uri, '--', '/bin/true'], ...own },
      { label: 'embedded', argv: [program, ...WARM, '-c', 'qemu:///embed', '--', '/bin/true'], ...own },
    ],
    runs,
    progress,
  );
  const bare = await measureBare(context, () => bareRestore(argvOf(context, environment), snapshot));
  const cold = { name: 'cold', ...quantity(seconds.cold, 's') };
  return [
    timesAsLong(`warm \`virt-sandbox -- /bin/true\` (${image.uri})`, quantity(seconds.warm, 's'), cold, 0.3),
    timesAsLong('the same with `-c qemu:///embed`', quantity(seconds.embedded, 's'), cold, 0.4),
    timesAsLong(
      `warm \`virt-sandbox -- /bin/true\` (${image.uri})`,
      quantity(seconds.warm, 's'),
      { name: 'bare `qemu -incoming` of the same state', ...quantity(bare, 's') },
      2,
    ),
    ...(await virtmeRow(context, environment)),
    ...(await atOnceRows(context, environment, snapshot)),
    await guestInitRow(context, environment),
    timesAsLong('baking it', quantity(baking, 's'), cold, 1.5),
    within('its files', { amount: warmSize / 1e6, unit: 'MB' }, 80),
  ];
}

/** A warm start with the common init in the guest, against one with it in the launcher. */
async function guestInitRow(
  { program, runs, progress, image }: Context,
  environment: Readonly<Record<string, string>>,
): Promise<Row> {
  const uri = ['-c', image.uri];
  const inside = ['--image', 'inside', ...WARM, ...uri];
  const create: [string, ...string[]] = [`${program}-bake`, 'create', '--warm', '--common-init', 'guest', ...uri];
  await timed({ label: 'bake, with the common init', argv: [...create, '--name', 'inside'], environment });
  const seconds = await interleave(
    [
      { label: 'in the guest', argv: [program, ...inside, '--', '/bin/true'], environment },
      { label: 'in the launcher', argv: [program, ...WARM, ...uri, '--', '/bin/true'], environment },
    ],
    runs,
    progress,
  );
  const reference = { name: 'in the launcher', ...quantity(seconds['in the launcher'], 's') };
  return timesAsLong('warm, the common init in the guest', quantity(seconds['in the guest'], 's'), reference, 2.5);
}

/** QEMU's command line for a new sandbox. */
function argvOf({ program, scratch, image }: Context, environment: Readonly<Record<string, string>>): string[] {
  const { uri } = image;
  return nativeArgv({ program, scratch, uri, environment }, [...WARM, '-c', uri]);
}

async function measureBare({ runs, progress }: Context, restore: () => Promise<number>): Promise<Summary> {
  const values: number[] = [];
  for (let round = 0; round <= runs; round += 1) {
    const value = await restore();
    progress(`bare restore ${round === 0 ? 'warm-up' : `${round}/${runs}`}: ${value.toFixed(3)} s`);
    if (round > 0) values.push(value);
  }
  return summarize(values);
}

async function virtmeRow(
  { program, virtme, progress, image }: Context,
  environment: Readonly<Record<string, string>>,
): Promise<Row[]> {
  const what = 'warm `virt-sandbox -- /bin/true`, how many times faster than virtme-ng';
  if ('missing' in virtme) return [{ what, skipped: virtme.missing }];
  const seconds = await interleave(
    [
      { label: 'warm', argv: [program, ...WARM, '-c', image.uri, '--', '/bin/true'], environment },
      { label: 'virtme-ng', argv: virtmeArgv(virtme, 'tcg', '/bin/true'), retries: 2 },
    ],
    VIRTME_RUNS,
    progress,
  );
  const reference = { name: '`vng --run … --disable-kvm -- /bin/true`', ...quantity(seconds['virtme-ng'], 's') };
  return [timesFaster(what, quantity(seconds.warm, 's'), reference, 30)];
}

/** Many sandboxes started at once; all of them must succeed. */
async function atOnceRows(
  context: Context,
  environment: Readonly<Record<string, string>>,
  snapshot: Snapshot,
): Promise<Row[]> {
  const { program, progress, image } = context;
  const all = (how: readonly string[]) =>
    together(progress, () =>
      timed({
        label: how.join(' '),
        argv: [program, ...how, '-c', image.uri, '--boot-timeout', '300', '--', '/bin/true'],
        environment,
      }),
    );
  const warm = await all(WARM);
  const cold = await all(COLD);
  const machines = Array.from({ length: AT_ONCE }, () => argvOf(context, environment));
  const restores = machines[Symbol.iterator]();
  const bare = await together(progress, () => bareRestore(restores.next().value ?? [], snapshot));
  const what = `${AT_ONCE} warm ones started at once, sandboxes a second`;
  const rate = (seconds: number) => ({ amount: AT_ONCE / seconds, unit: '/s' as const });
  return [
    forInformation(what, rate(warm), { name: `${AT_ONCE} cold ones`, ...rate(cold) }),
    forInformation(what, rate(warm), { name: `${AT_ONCE} bare \`qemu -incoming\``, ...rate(bare) }),
  ];
}

async function together(progress: Progress, one: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  progress(`${AT_ONCE} at once: ${seconds.toFixed(2)} s`);
  return seconds;
}
