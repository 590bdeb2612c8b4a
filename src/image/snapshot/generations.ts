/**
 * Generations of snapshots. A starting sandbox opens a snapshot's files by path, one after the other; with the memory
 * of one machine and the state of another it would run nonsense. So each snapshot has a directory whose name is never
 * used again. A snapshot that is replaced is retired: no new sandbox finds it, and sandboxes that have found it keep
 * its files.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { leasesOf } from '../store/lease.js';
import { imageIds } from '../store/open.js';
import { sweepWorkspaces, withWorkspace } from '../store/workspace.js';
import { RETIRED_RECORD, SNAPSHOT_RECORD, SNAPSHOTS_DIRECTORY, snapshotDirectoriesOf } from './record.js';

/** A new directory for a snapshot of that name. */
export function nextGeneration(imageDirectory: string, name: string): string {
  return join(imageDirectory, SNAPSHOTS_DIRECTORY, `${name}-${randomBytes(4).toString('hex')}`);
}

/** Retires every snapshot that the one in `latest` replaces. */
export async function retireOthers(imageDirectory: string, latest: string): Promise<void> {
  const nameOf = (directory: string) => basename(directory).split('-')[0];
  for (const directory of snapshotDirectoriesOf(imageDirectory)) {
    if (directory !== latest && nameOf(directory) === nameOf(latest)) await retire(directory);
  }
}

/** Retires a snapshot: no new sandbox finds it. */
export async function retire(directory: string): Promise<void> {
  await rename(join(directory, SNAPSHOT_RECORD), join(directory, RETIRED_RECORD)).catch((error: unknown) => {
    // Without a record no sandbox finds it anyway, or another process has just retired it.
    if (!isSystemError(error, 'ENOENT')) throw error;
  });
}

export function isRetired(directory: string): boolean {
  return existsSync(join(directory, RETIRED_RECORD));
}

/**
 * Removes retired snapshots of an image, unless another process holds a lease on the image, and the leftovers of bakers
 * that died. An image outside a store has no leases; a sandbox that finds its snapshot's files gone boots cold.
 *
 * @param dryRun Remove nothing.
 * @returns the paths that were removed, or would be
 */
export async function sweepSnapshots(imageDirectory: string, dryRun = false): Promise<string[]> {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  const swept = await sweepWorkspaces(above, dryRun);
  const retired = snapshotDirectoriesOf(imageDirectory).filter(isRetired);
  if (retired.length === 0 || isHeld(imageDirectory)) return swept;
  if (dryRun) return [...swept, ...retired];
  // Move each to a workspace first: a half-removed snapshot must not look like a damaged one.
  await withWorkspace(above, async (workspace) => {
    for (const directory of retired) {
      try {
        await rename(directory, join(workspace, basename(directory)));
        swept.push(directory);
      } catch (error) {
        // Another process may sweep too; and a snapshot that cannot be removed only takes disk space.
        if (!isSystemError(error)) throw error;
      }
    }
  }).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
  return swept;
}

/** Sweeps the snapshots of every image in a store. */
export async function sweepStoredSnapshots(store: string, dryRun = false): Promise<string[]> {
  const swept: string[] = [];
  for (const id of imageIds(store)) swept.push(...(await sweepSnapshots(join(store, id), dryRun)));
  return swept;
}

/**
 * True if another process has a lease on the image. It takes the lease before it looks for snapshots (store/lease.ts).
 */
function isHeld(imageDirectory: string): boolean {
  const holders = leasesOf(dirname(imageDirectory)).get(basename(imageDirectory)) ?? [];
  return holders.some((pid) => pid !== process.pid);
}
