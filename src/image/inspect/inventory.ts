/** Lists the store: every image, named or not, whole or not. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import type { Manifest } from '../manifest.js';
import { type SnapshotRecord, snapshotsOf } from '../snapshot/record.js';
import { leasesOf } from '../store/lease.js';
import { imageNames } from '../store/names.js';
import { imageIds, readImage } from '../store/open.js';
import { type ImageUser, imageUsers, realImageDirectory } from './users.js';

/** An image of the store. */
export interface StoredImage {
  readonly id: string;
  readonly names: readonly string[];
  readonly directory: string;
  /** Disk space of all its files, snapshots included, in bytes. */
  readonly size: number;
  /** When a sandbox last began to use it; if none did, when it was made. */
  readonly lastUsed: Date;
  /** Names of the sandboxes that run from it; if none does, the processes that hold a lease on it. */
  readonly usedBy: readonly string[];
  /** Undefined for an image that cannot be used: damaged, or of another version of this program. */
  readonly manifest: Manifest | undefined;
  /** Its snapshots. */
  readonly warm: readonly StoredSnapshot[];
}

/** A snapshot of an image: the kind of sandbox that it serves, and its size. */
export interface StoredSnapshot
  extends Pick<
    SnapshotRecord,
    'memory' | 'vcpus' | 'acceleration' | 'slots' | 'root' | 'screen' | 'prepared' | 'kernelArguments' | 'needs'
  > {
  readonly directory: string;
  /** Disk space, in bytes. */
  readonly size: number;
}

/** Every snapshot of the image in a directory, valid or stale. */
export function storedSnapshots(imageDirectory: string): StoredSnapshot[] {
  return snapshotsOf(imageDirectory).map(({ directory, record }) => {
    const { memory, vcpus, acceleration, slots, root, screen, prepared, kernelArguments, needs } = record;
    const served = {
      ...(root === undefined ? {} : { root }),
      ...(screen === undefined ? {} : { screen }),
      ...(prepared === undefined ? {} : { prepared }),
    };
    return {
      directory,
      memory,
      vcpus,
      acceleration,
      slots,
      ...served,
      kernelArguments,
      needs,
      size: sizeOf(directory),
    };
  });
}

/** Every image of the store, last used first. */
export async function storedImages(store: string): Promise<StoredImage[]> {
  const names = imageNames(store);
  const uses = new ImageUses(store);
  const images = await Promise.all(imageIds(store).map((id) => storedImage(store, id, names.get(id) ?? [], uses)));
  return images
    .filter((image) => image !== undefined)
    .sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime() || (a.id < b.id ? -1 : 1));
}

async function storedImage(
  store: string,
  id: string,
  names: readonly string[],
  uses: ImageUses,
): Promise<StoredImage | undefined> {
  const directory = join(store, id);
  const stat = statSync(directory, { throwIfNoEntry: false });
  // It was removed in the meantime.
  if (stat === undefined) return undefined;
  const manifest = await readImage({ directory, id, called: id }).catch(() => undefined);
  return {
    id,
    names,
    directory,
    size: sizeOf(directory),
    lastUsed: stat.mtime,
    usedBy: uses.of(id),
    manifest: manifest?.id === id ? manifest : undefined,
    warm: storedSnapshots(directory),
  };
}

/** Unit of st_blocks in stat(2). */
const BLOCK_BYTES = 512;

/** Disk space of all files in a directory and below, in bytes. */
export function sizeOf(directory: string): number {
  const entries = valueOr(() => readdirSync(directory, { withFileTypes: true }), []);
  return entries.reduce((sum, entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sum + sizeOf(path);
    const stat = statSync(path, { throwIfNoEntry: false });
    // A snapshot's memory is mostly holes.
    return sum + (stat === undefined ? 0 : Math.min(stat.size, stat.blocks * BLOCK_BYTES));
  }, 0);
}

/** The users of a store's images, looked up once. */
export class ImageUses {
  readonly #leases: ReadonlyMap<string, readonly number[]>;
  readonly #users: ReadonlyMap<string, readonly ImageUser[]>;

  constructor(private readonly store: string) {
    this.#leases = leasesOf(store);
    this.#users = imageUsers();
  }

  /**
   * Names of the sandboxes that run from an image. If none runs, the other processes that hold a lease on it, as
   * `process PID`.
   */
  of(id: string): string[] {
    const holders = (this.#leases.get(id) ?? []).filter((pid) => pid !== process.pid).map((pid) => `process ${pid}`);
    const machines = (this.#users.get(realImageDirectory(join(this.store, id))) ?? [])
      .filter(({ isCertain }) => isCertain || holders.length > 0)
      .map(({ name, pid }) => name ?? `process ${pid}`);
    return machines.length > 0 ? machines : holders;
  }
}
