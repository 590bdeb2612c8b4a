/** Removes images that have no name and are not in use, and the leftovers of processes that died. */

import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { type StoredImage, storedImages } from '../inspect/inventory.js';
import { sweepStoredSnapshots } from '../snapshot/generations.js';
import { pruneNotes } from '../store/checked.js';
import { sweepOutputs } from '../store/export.js';
import { importedStore } from '../store/import.js';
import { imageNames, unnameImage } from '../store/names.js';
import { imageIds } from '../store/open.js';
import { indexDirectory, storeError } from '../store/store.js';
import { sweepWorkspaces } from '../store/workspace.js';
import { discardImage } from './remove-images.js';

/** What one call removed, or would remove. */
export interface Removal {
  readonly images: readonly StoredImage[];
  /** Workspaces of builders that died, and retired snapshots. */
  readonly workspaces: readonly string[];
}

export interface PruneOptions {
  /** Only images that were last used longer ago than this, in milliseconds; default 0. */
  readonly olderThan?: number | undefined;
  /** Remove nothing; only return what would be removed. */
  readonly dryRun?: boolean | undefined;
}

/**
 * Removes every image that has no name and is not in use, and such copies of images in directories elsewhere. Also
 * removes names and remembered answers of images that are
 * gone, retired snapshots, and workspaces of builders that died.
 *
 * @throws {SandboxError} `store-not-writable`.
 */
export async function pruneImages(store: string, options: PruneOptions = {}): Promise<Removal> {
  const own = await pruneStore(store, options);
  const copies = await pruneStore(importedStore(store), options);
  return { images: [...own.images, ...copies.images], workspaces: [...own.workspaces, ...copies.workspaces] };
}

async function pruneStore(store: string, options: PruneOptions): Promise<Removal> {
  const { olderThan = 0, dryRun = false } = options;
  try {
    const idle = (await storedImages(store)).filter(
      ({ names, usedBy, lastUsed }) =>
        names.length === 0 && usedBy.length === 0 && Date.now() - lastUsed.getTime() >= olderThan,
    );
    const images: StoredImage[] = [];
    for (const image of idle) {
      if (dryRun || (await discardImage(store, image.id)) === undefined) images.push(image);
    }
    const workspaces = [...(await sweepWorkspaces(store, dryRun)), ...(await sweepOutputs(store, dryRun))];
    workspaces.push(...(await sweepStoredSnapshots(store, dryRun)));
    if (!dryRun) {
      await pruneNames(store);
      await pruneIndex(store);
      await pruneNotes(store);
    }
    return { images, workspaces };
  } catch (error) {
    throw storeError(error, store);
  }
}

/** Removes names whose image is gone. */
async function pruneNames(store: string): Promise<void> {
  // In this order: an image is there before it has a name.
  const named = imageNames(store);
  const ids = new Set(imageIds(store));
  for (const [id, names] of named) {
    if (!ids.has(id)) for (const name of names) await unnameImage(store, name, id);
  }
}

/** Removes answers whose image is gone: see store/lookup.ts. */
async function pruneIndex(store: string): Promise<void> {
  const ids = new Set(imageIds(store));
  const directory = indexDirectory(store);
  const files = valueOr(() => readdirSync(directory), []);
  for (const path of files.map((name) => join(directory, name))) {
    const image = /"image":"([0-9a-f]{32})"/.exec(valueOr(() => readFileSync(path, 'latin1'), ''))?.[1];
    if (image === undefined || !ids.has(image)) await rm(path, { force: true });
  }
}
