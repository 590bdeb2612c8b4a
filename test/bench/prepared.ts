/** Benchmark `prepared`: a program of an image, from a snapshot that has it in memory, and from one without programs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { copyFacts } from '../helpers/cache.js';
import { layoutWith } from '../helpers/oci/busybox.js';
import { makeDebian, unlessDebian } from '../helpers/oci/debian.js';
import { testImage } from '../helpers/oci/image.js';
import type { Context } from './context.js';
import { forInformation, quantity, type Row, timesAsLong } from './row.js';
import { interleave } from './run.js';

const connect = ['-c', 'qemu:///embed'];
const IMPORT = ['python3', '-c', 'import numpy'];

export async function preparedRows({ program, scratch, runs, progress }: Context): Promise<Row[]> {
  const what = 'warm, `python3 -c "import numpy"`, with it in memory';
  const lack = unlessDebian();
  if (lack !== false) return [{ what, skipped: lack }];
  const cache = join(scratch, 'prepared');
  mkdirSync(cache, { mode: 0o755 });
  copyFacts(join(cache, 'virt-sandbox'));
  const made = await makeRoot(cache);
  if ('skipped' in made) return [{ what, skipped: made.skipped }];
  const { root } = made;
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  const bake = (...words: readonly string[]) =>
    JSON.parse(
      execFileSync(`${program}-bake`, ['create', '--warm', '--json', ...connect, ...words], { env, encoding: 'utf8' }),
    ) as { warmSize: number };
  try {
    progress('baking two snapshots');
    const plain = bake('--for', '--root docker://any');
    const prepared = bake('-n', 'python', '--root', root, '--prepare', "python3 -c 'import numpy'");
    const start = (label: 'plain' | 'prepared' | 'cold', ...words: readonly string[]) => ({
      label,
      argv: [program, ...connect, ...words, '--root', root, '--', ...IMPORT] as const,
      environment: { XDG_CACHE_HOME: cache },
    });
    const took = await interleave(
      [
        start('plain', '--boot', 'warm'),
        start('prepared', '--boot', 'warm', '--image', 'python'),
        start('cold', '--boot', 'cold'),
      ],
      runs,
      progress,
    );
    const reference = { name: 'warm without', ...quantity(took.plain, 's') };
    const megabytes = (bytes: number) => ({ amount: bytes / 1e6, unit: 'MB' }) as const;
    return [
      timesAsLong(what, quantity(took.prepared, 's'), reference, 0.35),
      forInformation(what, quantity(took.prepared, 's'), { name: 'cold', ...quantity(took.cold, 's') }),
      forInformation('size of that snapshot', megabytes(prepared.warmSize), {
        name: 'without',
        ...megabytes(plain.warmSize),
      }),
    ];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** Debian with Python, as an image in a directory. */
async function makeRoot(above: string): Promise<{ readonly root: string } | { readonly skipped: string }> {
  const [tar, scratch, layout] = ['python.tar', 'debian', 'layout'].map((name) => join(above, name));
  if (tar === undefined || scratch === undefined || layout === undefined) throw new Error('three names');
  mkdirSync(scratch);
  const skipped = await makeDebian(tar, { scratch, include: 'python3-numpy', customize: 'true' });
  if (skipped !== undefined) return { skipped };
  const root = layoutWith(layout, testImage([readFileSync(tar)], { compression: 'none' }));
  rmSync(tar);
  return { root };
}
