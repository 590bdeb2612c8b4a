/** Benchmark `roots`: starts with an image as root, beside the same with the host's root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { COLD } from '../../src/bench/run/baseline.js';
import { sandboxArgv } from '../../src/bench/run/commands.js';
import { layoutWith } from '../helpers/oci/busybox.js';
import type { Context } from './context.js';
import { BYTES, FILES } from './images/content.js';
import { benchImages } from './images/image.js';
import { forInformation, type Quantity, quantity, type Reference, type Row, timesAsLong } from './row.js';
import { interleave, timed } from './run.js';

const EMBEDDED = ['-c', 'qemu:///embed'];
const WARM = ['--boot', 'warm', ...EMBEDDED];
const CONTAINER = ['-c', 'lxc:///'];
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
  const name = layoutWith(join(scratch, 'layout'), image);
  const own = async (label: string, argv: [string, ...string[]]) => void (await timed({ label, argv, environment }));
  await own('pull', [`${program}-image`, 'pull', name]);
  const bake: [string, ...string[]] = [`${program}-bake`, 'create', '--warm', ...EMBEDDED];
  await own('bake', bake);
  await own('bake for images', [...bake, '--for', '--root docker://any']);

  const pair = (kind: string, options: readonly string[]) => measurePair({ context, name, environment, kind, options });
  return [
    timesAsLong('cold start from an image', ...(await pair('cold', [...COLD, ...EMBEDDED])), MOST),
    forInformation('warm start from the image', ...(await pair('warm', WARM))),
    await containerRow(
      () => own('a container', start(program, CONTAINER)),
      () => pair('container', CONTAINER),
    ),
  ];
}

function start(program: string, options: readonly string[]): [string, ...string[]] {
  return sandboxArgv(program, [...options, '--', PROGRAM]);
}

interface Pair {
  readonly context: Context;
  /** Of the image. */
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  /** For the progress. */
  readonly kind: string;
  readonly options: readonly string[];
}

/** @returns the start from the image, and the one from the host's root */
async function measurePair({ context, name, environment, kind, options }: Pair): Promise<[Quantity, Reference]> {
  const { program, runs, progress } = context;
  const seconds = await interleave(
    [
      { label: "the host's root", argv: start(program, options), environment },
      { label: 'an image', argv: start(program, [...options, '--root', name]), environment },
    ],
    runs,
    (message) => progress(`${kind}, ${message}`),
  );
  const reference = { name: "the host's root", ...quantity(seconds["the host's root"], 's') };
  return [quantity(seconds['an image'], 's'), reference];
}

/** Left out, with the reason, where no container starts at all. */
async function containerRow(
  startOne: () => Promise<void>,
  measure: () => Promise<[Quantity, Reference]>,
): Promise<Row> {
  const what = 'container of the image';
  try {
    await startOne();
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ');
    return { what, skipped: `${why}; node scripts/with-libvirt.mjs starts a libvirtd for containers` };
  }
  return forInformation(what, ...(await measure()));
}

/** An archive with the program that is run, and the libraries of this host that it needs. */
function programLayer(): Buffer {
  const listed = execFileSync('ldd', [PROGRAM], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/\/\S+/g)].map(([path]) => path.slice(1));
  const words = ['-c', '--dereference', '-C', '/', '--', PROGRAM.slice(1), ...libraries];
  return execFileSync('tar', words, { maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] });
}
