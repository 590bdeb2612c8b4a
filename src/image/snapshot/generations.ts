/**
 * Saved machines that follow one another. A sandbox that starts opens the files of a warm image by their paths, one after the other; with the memory
 * of one machine and the state of another it would run nonsense. So each has a directory of a name that no other ever had. One that another took the
 * place of is retired: no sandbox finds it any more, and those that had found it keep its files.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { leasesOf } from '../store/lease.js';
import { imageIds } from '../store/open.js';
import { sweepWorkspaces, withWorkspace } from '../store/workspace.js';
import { RETIRED_RECORD, SNAPSHOT_RECORD, SNAPSHOTS_DIRECTORY, snapshotDirectoriesOf } from './snapshot.js';

/** The directory for one more machine of that name. */
export function nextGeneration(imageDirectory: string, name: string): string {
  return join(imageDirectory, SNAPSHOTS_DIRECTORY, `${name}-${randomBytes(4).toString('hex')}`);
}

/** Retires every machine whose place the one in `latest` has taken. */
export async function retireOthers(imageDirectory: string, latest: string): Promise<void> {
  const nameOf = (directory: string) => basename(directory).split('-')[0];
  for (const directory of snapshotDirectoriesOf(imageDirectory)) {
    if (directory !== latest && nameOf(directory) === nameOf(latest)) await retire(directory);
  }
}

/** One that is retired is found by no sandbox any more. */
export async function retire(directory: string): Promise<void> {
  await rename(join(directory, SNAPSHOT_RECORD), join(directory, RETIRED_RECORD)).catch((error: unknown) => {
    // One without a record is found by nobody as it is, and somebody else may have been quicker.
    if (!isSystemError(error, 'ENOENT')) throw error;
  });
}

export function isRetired(directory: string): boolean {
  return existsSync(join(directory, RETIRED_RECORD));
}

/**
 * Removes what of an image's saved machines nobody needs: retired ones, unless a process holds the image, and what bakers left that died. An image
 * outside of a store has no leases; who finds its files gone boots.
 *
 * @returns the paths of those that are gone now
 */
export async function sweepSnapshots(imageDirectory: string, dryRun = false): Promise<string[]> {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  const swept = await sweepWorkspaces(above, dryRun);
  const retired = snapshotDirectoriesOf(imageDirectory).filter(isRetired);
  if (retired.length === 0 || isHeld(imageDirectory)) return swept;
  if (dryRun) return [...swept, ...retired];
  // By way of a workspace: one that is half removed must not look like one that is damaged.
  await withWorkspace(above, async (workspace) => {
    for (const directory of retired) {
      try {
        await rename(directory, join(workspace, basename(directory)));
        swept.push(directory);
      } catch (error) {
        // Somebody else sweeps too; and what cannot be removed is only in the way of disk space.
        if (!isSystemError(error)) throw error;
      }
    }
  }).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
  return swept;
}

/** The same for every image of a store. */
export async function sweepStoredSnapshots(store: string, dryRun = false): Promise<string[]> {
  const swept: string[] = [];
  for (const id of imageIds(store)) swept.push(...(await sweepSnapshots(join(store, id), dryRun)));
  return swept;
}

/** Whether another process has taken the image: it did so before it looked for saved machines (lease.ts). */
function isHeld(imageDirectory: string): boolean {
  const holders = leasesOf(dirname(imageDirectory)).get(basename(imageDirectory)) ?? [];
  return holders.some((pid) => pid !== process.pid);
}
