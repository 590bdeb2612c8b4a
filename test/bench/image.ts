/**
 * Benchmarks `image` and `initrd`: building the boot image from nothing, finding it again, and the size of its initrd.
 */
import { mkdtempSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { summarize } from '../../src/bench/result/statistics.js';
import type { ImageTimings } from '../../src/image/resolve.js';
import type { Context } from './context.js';
import { quantity, type Row, within } from './row.js';
import { interleave, timed } from './run.js';

const RESOLVE = fileURLToPath(new URL('./resolve-image.js', import.meta.url));

export async function imageRows(context: Context): Promise<Row[]> {
  const { program, runs, progress, image } = context;
  const whole = await interleave(
    [
      {
        label: 'build',
        // With an empty store `--accel auto` would test KVM again, which is not measured here.
        argv: [program, '--dry-run', '--accel', 'tcg', '-c', image.uri, '--', '/bin/true'],
        prepare: () => ({ XDG_CACHE_HOME: emptyDirectory(context) }),
      },
    ],
    runs,
    progress,
  );
  const built: number[] = [];
  const found: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const store = emptyDirectory(context);
    const building = await resolve(store, image, true);
    const { select = 0, modules = 0, initrd = 0 } = building;
    built.push(select + modules + initrd);
    found.push((await resolve(store, image, false)).total);
    progress(`initrd ${run}/${runs}: ${built.at(-1)?.toFixed(1)} ms; finding it: ${found.at(-1)?.toFixed(1)} ms`);
  }
  return [
    within('building the image from nothing, whole process', quantity(whole.build, 's'), 0.6),
    within(
      'the initrd inside that: choosing modules, unpacking and packing',
      quantity(summarize(built), 's', 1e-3),
      0.15,
    ),
    within('finding it again', quantity(summarize(found), 'ms'), 20),
  ];
}

/** The size of the initrd that the guest's kernel unpacks. */
export async function initrdRows({ image }: Context): Promise<Row[]> {
  const size = { amount: statSync(image.initrd).size / 1e6, unit: 'MB' as const };
  return [within(`initrd for a root over ${image.rootFs}, uncompressed`, size, 1.5)];
}

function emptyDirectory({ scratch }: Context): string {
  return mkdtempSync(join(scratch, 'store-'));
}

async function resolve(store: string, { rootFs }: Context['image'], fresh: boolean): Promise<ImageTimings> {
  const argv: [string, ...string[]] = [process.execPath, RESOLVE, store, `root-${rootFs}`];
  const { stdout } = await timed({ label: 'resolving the image', argv });
  const answer = JSON.parse(stdout) as { readonly fresh: boolean; readonly timings: ImageTimings };
  if (answer.fresh !== fresh) throw new Error(`the image was ${fresh ? 'found, not built' : 'built, not found'}`);
  return answer.timings;
}
