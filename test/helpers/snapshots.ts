/** Bakes snapshots for tests, in a private store: a snapshot changes how every other sandbox of its store starts. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { digestSparse } from '../../src/image/snapshot/digest.js';
import {
  readSnapshot,
  SNAPSHOT_RECORD,
  type SnapshotRecord,
  snapshotRecordText,
} from '../../src/image/snapshot/record.js';
import { identityOf } from '../../src/util/input-log.js';
import { makeCache, removeCache } from './cache.js';
import { environment, PROGRAM, type RunOptions } from './run.js';

/** Avoids the probe for KVM in every new store. */
export const TCG = ['--accel', 'tcg'];

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

/** Runs `virt-sandbox-bake create --warm ARGS`. */
export async function bakeSnapshot(args: readonly string[], options: RunOptions): Promise<Baked> {
  const program = `${options.program ?? PROGRAM}-bake`;
  const words = [...(options.through ?? []), program, 'create', '--warm', '--json', '--for', TCG.join(' '), ...args];
  const { stdout } = await promisify(execFile)(words[0] ?? '', words.slice(1), {
    env: environment(options.env),
    cwd: options.cwd,
    timeout: 180_000,
  });
  const baked = JSON.parse(stdout) as Partial<Baked>;
  assert.ok(baked.warm !== undefined && baked.image !== undefined && baked.warmSize !== undefined, stdout);
  return { warm: baked.warm, image: baked.image, warmSize: baked.warmSize, slots: baked.slots };
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
