/** Benchmark `roots`: starts with an image as root, beside the same with the host's root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { COLD } from '../../src/bench/run/baseline.js';
import { lxcThrough } from '../../src/bench/run/commands.js';
import { layoutWith } from '../helpers/oci/busybox.js';
import type { Context } from './context.js';
import { BYTES, FILES } from './images/content.js';
import { benchImages } from './images/image.js';
import { forInformation, type Quantity, quantity, type Reference, type Row, timesAsLong } from './row.js';
import { interleave, timed } from './run.js';

const EMBEDDED = ['-c', 'qemu:///embed'];
const WARM = ['--boot', 'warm', ...EMBEDDED];
const PROGRAM = '/bin/true';

/** A start may take this many times as long from an image. */
const MOST = 1.1;

export async function rootRows(context: Context): Promise<Row[]> {
  const { program, scratch, progress } = context;
  // A store of its own: its snapshots are those that are baked here.
  const environment = { XDG_CACHE_HOME: join(scratch, 'roots') };
  mkdirSync(environment.XDG_CACHE_HOME);
  progress(`making an image of ${FILES} files and ${BYTES / 1e6} MB, and ${PROGRAM}`);
  const [image] = await benchImages([programLayer()]);
  const root = ['--root', layoutWith(join(scratch, 'layout'), image)];
  const own = async (label: string, argv: [string, ...string[]]) => void (await timed({ label, argv, environment }));
  await own('pull', [`${program}-image`, 'pull', root[1] ?? '']);
  const bake: [string, ...string[]] = [`${program}-bake`, 'create', '--warm', ...EMBEDDED];
  await own('bake', bake);
  await own('bake for images', [...bake, '--for', '--root docker://any']);

  const pair = async (kind: string, options: readonly string[], through: readonly string[] = []) => {
    const [first = program, ...words] = [...through, program, ...options];
    const argv = (more: readonly string[]): [string, ...string[]] => [first, ...words, ...more, '--', PROGRAM];
    const seconds = await interleave(
      [
        { label: `${kind}, the host's root`, argv: argv([]), environment },
        { label: `${kind}, an image`, argv: argv(root), environment },
      ],
      context.runs,
      progress,
    );
    const [host, fromImage] = [seconds[`${kind}, the host's root`], seconds[`${kind}, an image`]];
    if (host === undefined || fromImage === undefined) throw new Error(`${kind} was not measured`);
    return [quantity(fromImage, 's'), { name: "the host's root", ...quantity(host, 's') }] as const;
  };
  return [
    timesAsLong('cold start from an image', ...(await pair('cold', [...COLD, ...EMBEDDED])), MOST),
    forInformation('warm start from the image', ...(await pair('warm', WARM))),
    await containerRow(() => pair('container', ['-c', 'lxc:///'], lxcThrough())),
  ];
}

async function containerRow(measure: () => Promise<readonly [Quantity, Reference]>): Promise<Row> {
  const what = 'container of the image';
  try {
    return forInformation(what, ...(await measure()));
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ');
    return { what, skipped: `${why}; node scripts/with-libvirt.mjs starts a libvirtd for containers` };
  }
}

/** An archive with the program that is run, and the libraries of this host that it needs. */
function programLayer(): Buffer {
  const listed = execFileSync('ldd', [PROGRAM], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/\/\S+/g)].map(([path]) => path.slice(1));
  const words = ['-c', '--dereference', '-C', '/', '--', PROGRAM.slice(1), ...libraries];
  return execFileSync('tar', words, { maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] });
}
