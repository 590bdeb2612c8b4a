/** Benchmark `images`: an image from a registry of this host to a file system, beside skopeo and umoci. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { summarize } from '../../src/bench/result/statistics.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { type DebianRegistry, startDebianRegistry } from '../helpers/oci/debian-registry.js';
import type { Context } from './context.js';
import { BYTES, FILES } from './images/content.js';
import { benchImages } from './images/image.js';
import { measuredRun, type Usage } from './images/measured-run.js';
import { forInformation, quantity, type Row, timesAsLong, within } from './row.js';
import { timed } from './run.js';

const USE_STORE = fileURLToPath(new URL('./images/use-store.js', import.meta.url));
const REPOSITORY = 'bench/image';
const TOOLS = '`skopeo copy` and `umoci unpack`';

/** How often an image is found, whatever the number of runs is. */
const FINDS = 20;
/** MiB, and milliseconds. */
const MOST_MEMORY = 256;
const MOST_TO_FIND = 20;

const COPY_AND_UNPACK =
  'skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$1" "oci:$2/layout:v1" && ' +
  'umoci unpack $3 --image "$2/layout:v1" "$2/bundle"';

export async function imagesRows(context: Context): Promise<Row[]> {
  const cleanups: (() => unknown)[] = [];
  try {
    const registry = await startDebianRegistry(
      { after: (work) => void cleanups.push(work as () => unknown) },
      { above: context.scratch },
    );
    return await measure(context, registry);
  } finally {
    for (const work of cleanups.reverse()) await work();
  }
}

async function measure({ runs, progress, scratch }: Context, registry: DebianRegistry): Promise<Row[]> {
  progress(`making an image of ${FILES} files and ${BYTES / 1e6} MB`);
  const [first, second] = await benchImages();
  await registry.push(REPOSITORY, 'v1', first);
  await registry.push(REPOSITORY, 'v2', second);
  const image = (tag: string) => `docker://${registry.host}/${REPOSITORY}:${tag}`;
  const newDirectory = () => mkdtempSync(join(scratch, 'images-'));
  let store = newDirectory();
  const sides = [
    {
      name: 'pull',
      run: () => {
        // Few files: this takes no time.
        rmSync(store, { recursive: true });
        store = newDirectory();
        return measuredRun([process.execPath, USE_STORE, 'pull', store, image('v1')]);
      },
      all: [] as Usage[],
    },
    {
      name: TOOLS,
      run: async () => {
        // It stays until the end: who makes files right behind the removal of as many waits for the disk.
        const directory = newDirectory();
        const rootless = process.geteuid?.() === 0 ? '' : '--rootless';
        const words = ['sh', '-c', COPY_AND_UNPACK, 'sh', image('v1').slice('docker://'.length), directory, rootless];
        return measuredRun(words);
      },
      all: [] as Usage[],
    },
  ] as const;
  for (let round = 0; round < runs; round += 1) {
    for (const { name, run, all } of inOrderOf(round, sides)) {
      // What the other has written is on the disk then, and not at the expense of this one.
      execFileSync('sync');
      const usage = await run();
      progress(`${name} ${round + 1}/${runs}: ${JSON.stringify(usage)}`);
      all.push(usage);
    }
  }
  const layers = first.layers.map(({ digest }) => digest);
  const before = await registry.served(layers);
  if (before === 0) throw new Error('the registry does not say what it has sent');
  execFileSync(process.execPath, [USE_STORE, 'pull', store, image('v2')]);
  const bytes = (await registry.served(layers)) - before;
  const found: number[] = [];
  for (let at = 0; at < FINDS; at += 1) {
    const argv: [string, ...string[]] = [process.execPath, USE_STORE, 'find', store, image('v1')];
    found.push(Number((await timed({ label: 'finding an image', argv })).stdout));
  }
  const [ours, theirs] = sides;
  const of = (all: readonly Usage[], key: keyof Usage) => summarize(all.map((usage) => usage[key]));
  const beside = (key: keyof Usage, unit: 's' | 'MiB') => ({ name: TOOLS, ...quantity(of(theirs.all, key), unit) });
  const memory = quantity(of(ours.all, 'memory'), 'MiB');
  return [
    timesAsLong('pull of an image', quantity(of(ours.all, 'seconds'), 's'), beside('seconds', 's'), 1),
    forInformation('its processor time', quantity(of(ours.all, 'cpuSeconds'), 's'), beside('cpuSeconds', 's')),
    forInformation('the memory of its processes', memory, beside('memory', 'MiB')),
    within('the same, the most of all runs', { amount: memory.max ?? memory.amount, unit: 'MiB' }, MOST_MEMORY),
    within('layers that a second tag of the same layers fetches', { amount: bytes / 1e6, unit: 'MB' }, 0),
    within('finding it again', quantity(summarize(found), 'ms'), MOST_TO_FIND),
  ];
}
