/** Bakes snapshots for tests, in a private store: a snapshot changes how every other sandbox of its store starts. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { digestSparse } from '../../src/image/snapshot/digest.js';
import {
  readSnapshot,
  SNAPSHOT_RECORD,
  type SnapshotRecord,
  snapshotRecordText,
} from '../../src/image/snapshot/record.js';
import { identityOf } from '../../src/util/input-log.js';
import { ACCEL, ACCELERATION } from './acceleration.js';
import { makeCache, removeCache } from './cache.js';
import { environment, PROGRAM, type RunOptions } from './run.js';

/** A store for one file of tests. */
export function privateStore(): { env: { XDG_CACHE_HOME: string }; remove: () => void } {
  const directory = makeCache();
  return { env: { XDG_CACHE_HOME: directory }, remove: () => removeCache(directory) };
}

export interface Baked {
  /** Directory of the snapshot. */
  readonly warm: string;
  readonly warmSize: number;
  readonly image: string;
  readonly slots: unknown;
}

/** Runs `virt-sandbox-bake create --warm ARGS` for a sandbox with the options `of`. */
export async function bakeSnapshot(
  args: readonly string[],
  options: RunOptions,
  of: readonly string[] = [],
): Promise<Baked> {
  const program = `${options.program ?? PROGRAM}-bake`;
  const words = [
    ...(options.through ?? []),
    program,
    'create',
    '--warm',
    '--json',
    '--for',
    [...ACCEL, ...of].join(' '),
    ...args,
  ];
  const { stdout } = await promisify(execFile)(words[0] ?? '', words.slice(1), {
    env: environment(options.env),
    cwd: options.cwd,
    timeout: 180_000,
  });
  const baked = JSON.parse(stdout) as Partial<Baked>;
  assert.ok(baked.warm !== undefined && baked.image !== undefined && baked.warmSize !== undefined, stdout);
  return { warm: baked.warm, image: baked.image, warmSize: baked.warmSize, slots: baked.slots };
}

/** The snapshot that scripts/test.mjs has baked for all tests; undefined if it has not. */
export function sharedSnapshot(): Baked | undefined {
  const shared = process.env['VIRT_SANDBOX_TEST_SNAPSHOT'];
  return shared === undefined ? undefined : (JSON.parse(shared) as Baked);
}

/**
 * A copy of the snapshot that the tests share, in a private store: seconds sooner than one that is baked there.
 * @param args how it is baked where there is no such snapshot under the same acceleration and by the same profile
 */
export async function copySnapshot(
  args: readonly string[],
  env: { readonly XDG_CACHE_HOME: string; readonly VIRT_SANDBOX_PROFILE?: string },
): Promise<Baked> {
  const shared = sharedSnapshot();
  const profile = process.env['VIRT_SANDBOX_PROFILE'] ?? 'default';
  const serves = (env.VIRT_SANDBOX_PROFILE ?? profile) === profile;
  if (!shared || !serves || recordOf(shared).acceleration !== ACCELERATION) return bakeSnapshot(args, { env });
  const from = dirname(dirname(shared.warm));
  const image = join(env.XDG_CACHE_HOME, 'virt-sandbox/images', basename(from));
  const warm = join(image, 'warm', basename(shared.warm));
  mkdirSync(dirname(warm), { recursive: true });
  for (const { name } of readdirSync(from, { withFileTypes: true }).filter((entry) => entry.isFile()))
    execFileSync('cp', ['-a', join(from, name), image]);
  execFileSync('cp', ['-a', shared.warm, warm]);
  // Its files are others, which would make it stale.
  await resealSnapshot(warm);
  const { slots, files } = recordOf({ warm });
  const sizes = files.map(({ name }) => statSync(join(warm, name)).blocks * 512);
  return { warm, image, slots, warmSize: sizes.reduce((sum, size) => sum + size, 0) };
}

/** The record of a snapshot. */
export function recordOf({ warm }: Pick<Baked, 'warm'>): SnapshotRecord {
  const { record } = readSnapshot(warm) ?? assert.fail(`${warm} has no record`);
  return record;
}

/** Makes a changed snapshot look intact, so that only QEMU notices. `facts` replace those of its record. */
export async function resealSnapshot(directory: string, facts: Partial<SnapshotRecord> = {}): Promise<void> {
  const { format: _format, ...record } = { ...recordOf({ warm: directory }), ...facts };
  const files = await Promise.all(
    record.files.map(async ({ name }) => {
      const path = join(directory, name);
      return { name, identity: identityOf(path), digest: await digestSparse(path) };
    }),
  );
  writeFileSync(join(directory, SNAPSHOT_RECORD), snapshotRecordText({ ...record, files }));
}
