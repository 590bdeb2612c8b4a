/** Removing images, and what was left by those who died while making some; never an image that is in use. */

import { readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, SandboxError, valueOr } from '../../util/errors.js';
import { ImageUses, type StoredImage, storedImages } from '../inspect/inventory.js';
import { sweepStoredSnapshots } from '../snapshot/generations.js';
import { sweepOutputs } from './export.js';
import { imageNamed, imageNames, unnameImage } from './names.js';
import { imageIds, imageRef } from './open.js';
import { indexDirectory, storeError } from './store.js';
import { sweepWorkspaces, withWorkspace } from './workspace.js';

/** What one call removed. */
export interface Removal {
  readonly images: readonly StoredImage[];
  /** Directories of builders that died, and of saved machines that others took the place of. */
  readonly workspaces: readonly string[];
}

/**
 * Removes an image by one of its names, and the name with it; an image that has other names only loses this one. By its id it
 * removes an image without names.
 *
 * @returns the id, and whether the image itself is gone
 * @throws {SandboxError} `image-not-found`, `image-in-use`, `image-has-names`.
 */
export async function removeImage(store: string, called: string): Promise<{ id: string; removed: boolean }> {
  const isName = imageNamed(store, called) !== undefined;
  const { id } = imageRef(called, store);
  if (id === undefined) throw imageNotInStore(called, store);
  const names = imageNames(store).get(id) ?? [];
  if (!isName && names.length > 0) {
    throw new SandboxError({
      stage: 'image',
      code: 'image-has-names',
      message: `image ${id} has the ${names.length === 1 ? 'name' : 'names'} ${names.join(', ')}`,
      remedy: 'remove it by its names',
    });
  }
  if (names.length > 1) {
    await unnameImage(store, called);
    return { id, removed: false };
  }
  try {
    const users = await discard(store, id);
    if (users.length > 0) throw imageInUse(called, users);
  } catch (error) {
    throw storeError(error, store);
  }
  if (isName) await unnameImage(store, called);
  return { id, removed: true };
}

export function imageNotInStore(called: string, store: string): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'image-not-in-store',
    message: `${called} is a directory, and only images of the store ${store} are removed`,
    remedy: 'remove the directory itself, or give the name or the id of an image',
  });
}

export function imageInUse(called: string, users: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'image-in-use',
    message: `image ${called} is in use by ${users.join(', ')}`,
    remedy: 'end that sandbox first',
  });
}

/**
 * Removes an image's directory unless it is in use.
 *
 * @returns who uses it; nobody when it is gone
 */
async function discard(store: string, id: string): Promise<readonly string[]> {
  const users = new ImageUses(store).of(id);
  if (users.length > 0) return users;
  return withWorkspace(store, async (workspace) => {
    const moved = join(workspace, id);
    await rename(join(store, id), moved);
    // Who has taken it meanwhile has left a lease; who comes now finds no image and builds one.
    const late = new ImageUses(store).of(id);
    if (late.length > 0) {
      await rename(moved, join(store, id)).catch((error: unknown) => {
        if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
      });
    }
    return late;
  });
}

export interface PruneOptions {
  /** Only images whose last use is longer ago than this, in milliseconds; default 0. */
  readonly olderThan?: number;
  /** Only say what would be removed. */
  readonly dryRun?: boolean;
}

/**
 * Removes every image that has no name and is not in use; and what no image needs: names and remembered answers of images that
 * are gone, and the workspaces of builders that died.
 *
 * @throws {SandboxError} `store-not-writable`.
 */
export async function pruneImages(store: string, options: PruneOptions = {}): Promise<Removal> {
  const { olderThan = 0, dryRun = false } = options;
  try {
    const idle = (await storedImages(store)).filter(
      ({ names, usedBy, lastUsed }) =>
        names.length === 0 && usedBy.length === 0 && Date.now() - lastUsed.getTime() >= olderThan,
    );
    const images: StoredImage[] = [];
    for (const image of idle) {
      if (dryRun || (await discard(store, image.id)).length === 0) images.push(image);
    }
    const workspaces = [...(await sweepWorkspaces(store, dryRun)), ...(await sweepOutputs(store, dryRun))];
    workspaces.push(...(await sweepStoredSnapshots(store, dryRun)));
    if (!dryRun) {
      await pruneNames(store);
      await pruneIndex(store);
    }
    return { images, workspaces };
  } catch (error) {
    throw storeError(error, store);
  }
}

/** Names whose image is gone. */
async function pruneNames(store: string): Promise<void> {
  const ids = new Set(imageIds(store));
  for (const [id, names] of imageNames(store)) {
    if (!ids.has(id)) for (const name of names) await unnameImage(store, name);
  }
}

/** Answers that name an image that is gone: see lookup.ts. */
async function pruneIndex(store: string): Promise<void> {
  const ids = new Set(imageIds(store));
  const directory = indexDirectory(store);
  const files = valueOr(() => readdirSync(directory), []);
  for (const path of files.map((name) => join(directory, name))) {
    const image = /"image":"([0-9a-f]{32})"/.exec(valueOr(() => readFileSync(path, 'latin1'), ''))?.[1];
    if (image === undefined || !ids.has(image)) await rm(path, { force: true });
  }
}
