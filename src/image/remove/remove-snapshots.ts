/** Removing saved machines without their boot image; none of an image that is in use. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { ImageUses, type StoredImage, sizeOf, storedImages } from '../inspect/inventory.js';
import { isRetired, retire, sweepSnapshots } from '../snapshot/generations.js';
import { RETIRED_RECORD, readSnapshot, snapshotDirectoriesOf } from '../snapshot/snapshot.js';
import { imageRef } from '../store/open.js';
import { storeError } from '../store/store.js';
import { imageInUse, imageNotInStore } from './remove-images.js';

/** A saved machine that is gone. */
export interface RemovedSnapshot {
  readonly directory: string;
  /** On the disk, in bytes. */
  readonly size: number;
}

/**
 * Removes every machine that was saved with an image; the image and its names stay.
 * @throws {SandboxError} `image-not-found`, `image-not-in-store`, `image-in-use`, `store-not-writable`
 */
export async function removeSnapshots(store: string, called: string): Promise<{ id: string; warm: RemovedSnapshot[] }> {
  const { id, directory } = imageRef(called, store);
  if (id === undefined) throw imageNotInStore(called, store);
  const users = new ImageUses(store).of(id);
  if (users.length > 0) throw imageInUse(called, users);
  const warm = machinesIn(directory).map(removed);
  await discard(store, directory, warm);
  return { id, warm };
}

/** A saved machine, and why no sandbox can go on from it. */
export interface StaleSnapshot extends RemovedSnapshot {
  /** Of its boot image. */
  readonly image: string;
  readonly reason: string;
}

export interface PruneSnapshotsOptions {
  /** Only those whose image was last used longer ago than this, in milliseconds; default 0. */
  readonly olderThan?: number;
  /** Only say what would be removed. */
  readonly dryRun?: boolean;
  /** Why machines of an image are of no use any more, by their directories; those that may be are left out. */
  readonly problemsOf: (image: StoredImage) => Promise<ReadonlyMap<string, string>>;
}

/**
 * Removes the saved machines that no sandbox can go on from any more. Their images stay.
 * @throws {SandboxError} `store-not-writable`
 */
export async function pruneSnapshots(store: string, options: PruneSnapshotsOptions): Promise<StaleSnapshot[]> {
  const { olderThan = 0, dryRun = false, problemsOf } = options;
  const all: StaleSnapshot[] = [];
  for (const image of await storedImages(store)) {
    if (image.usedBy.length > 0 || Date.now() - image.lastUsed.getTime() < olderThan) continue;
    const problems = await problemsOf(image);
    const stale = machinesIn(image.directory).flatMap((directory) => {
      const isReadable = readSnapshot(directory) !== undefined;
      const reason = isReadable ? problems.get(directory) : 'its record is damaged, or of another version';
      return reason === undefined ? [] : [{ ...removed(directory), image: image.id, reason }];
    });
    if (!dryRun) await discard(store, image.directory, stale);
    all.push(...stale);
  }
  return all;
}

/** Those that were retired before are swept anyway. */
function machinesIn(imageDirectory: string): string[] {
  return snapshotDirectoriesOf(imageDirectory).filter((directory) => !isRetired(directory));
}

function removed(directory: string): RemovedSnapshot {
  return { directory, size: sizeOf(directory) };
}

/** Who has found one meanwhile keeps its files, which a later sweep removes. */
async function discard(store: string, imageDirectory: string, machines: readonly RemovedSnapshot[]): Promise<void> {
  try {
    for (const { directory } of machines) {
      await retire(directory);
      if (!isRetired(directory)) await markRetired(directory);
    }
    if (machines.length > 0) await sweepSnapshots(imageDirectory);
  } catch (error) {
    throw storeError(error, store);
  }
}

/** What has no record is swept like one whose record was put away. */
async function markRetired(directory: string): Promise<void> {
  await writeFile(join(directory, RETIRED_RECORD), '').catch((error: unknown) => {
    // Somebody else has removed it.
    if (!isSystemError(error, 'ENOENT')) throw error;
  });
}
