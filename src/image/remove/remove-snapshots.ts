/** Removes snapshots without their boot image, but never those of an image that is in use. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { ImageUses, type StoredImage, sizeOf, storedImages } from '../inspect/inventory.js';
import { isRetired, retire, sweepSnapshots } from '../snapshot/generations.js';
import { RETIRED_RECORD, readSnapshot, snapshotDirectoriesOf } from '../snapshot/record.js';
import { imageRef } from '../store/open.js';
import { storeError } from '../store/store.js';
import { imageInUse, imageNotInStore } from './remove-images.js';

/** A removed snapshot. */
export interface RemovedSnapshot {
  readonly directory: string;
  /** Disk space that it took, in bytes. */
  readonly size: number;
}

/**
 * Removes every snapshot of an image; the image and its names stay.
 * @throws {SandboxError} `image-not-found`, `image-not-in-store`, `image-in-use`, `store-not-writable`
 */
export async function removeSnapshots(
  store: string,
  called: string,
): Promise<{ id: string; snapshots: RemovedSnapshot[] }> {
  const { id, directory } = imageRef(called, store);
  if (id === undefined) throw imageNotInStore(called, store);
  const users = new ImageUses(store).of(id);
  if (users.length > 0) throw imageInUse(called, users);
  const snapshots = liveSnapshotsIn(directory).map(removed);
  await discard(store, directory, snapshots);
  return { id, snapshots };
}

/** A snapshot that no sandbox can use. */
export interface StaleSnapshot extends RemovedSnapshot {
  /** Id of its boot image. */
  readonly image: string;
  /** Why no sandbox can use it. */
  readonly reason: string;
}

export interface PruneSnapshotsOptions {
  /** Only snapshots whose image was last used longer ago than this, in milliseconds; default 0. */
  readonly olderThan?: number;
  /** Remove nothing; only return what would be removed. */
  readonly dryRun?: boolean;
  /** Why snapshots of an image are stale, by directory. Snapshots that may still be valid are left out. */
  readonly problemsOf: (image: StoredImage) => Promise<ReadonlyMap<string, string>>;
}

/**
 * Removes the snapshots that no sandbox can use any more. Their images stay.
 * @throws {SandboxError} `store-not-writable`
 */
export async function pruneSnapshots(store: string, options: PruneSnapshotsOptions): Promise<StaleSnapshot[]> {
  const { olderThan = 0, dryRun = false, problemsOf } = options;
  const all: StaleSnapshot[] = [];
  for (const image of await storedImages(store)) {
    if (image.usedBy.length > 0 || Date.now() - image.lastUsed.getTime() < olderThan) continue;
    const problems = await problemsOf(image);
    const stale = liveSnapshotsIn(image.directory).flatMap((directory) => {
      const isReadable = readSnapshot(directory) !== undefined;
      const reason = isReadable ? problems.get(directory) : 'its record is damaged, or of another version';
      return reason === undefined ? [] : [{ ...removed(directory), image: image.id, reason }];
    });
    if (!dryRun) await discard(store, image.directory, stale);
    all.push(...stale);
  }
  return all;
}

/** Directories of snapshots that are not retired; retired ones are swept anyway. */
function liveSnapshotsIn(imageDirectory: string): string[] {
  return snapshotDirectoriesOf(imageDirectory).filter((directory) => !isRetired(directory));
}

function removed(directory: string): RemovedSnapshot {
  return { directory, size: sizeOf(directory) };
}

/** Retires snapshots, and sweeps them. A sandbox that has just found one keeps its files until a later sweep. */
async function discard(store: string, imageDirectory: string, snapshots: readonly RemovedSnapshot[]): Promise<void> {
  try {
    for (const { directory } of snapshots) {
      await retire(directory);
      if (!isRetired(directory)) await markRetired(directory);
    }
    if (snapshots.length > 0) await sweepSnapshots(imageDirectory);
  } catch (error) {
    throw storeError(error, store);
  }
}

/** Retires a snapshot without a record. */
async function markRetired(directory: string): Promise<void> {
  await writeFile(join(directory, RETIRED_RECORD), '').catch((error: unknown) => {
    // Another process has removed it.
    if (!isSystemError(error, 'ENOENT')) throw error;
  });
}
