/** Removes images by name or id, but never an image that is in use. */

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { ImageUses } from '../inspect/inventory.js';
import { imageNamed, imageNames, unnameImage } from '../store/names.js';
import { imageRef } from '../store/open.js';
import { storeError } from '../store/store.js';
import { withWorkspace } from '../store/workspace.js';

/**
 * Removes an image by its name or id. With a name, an image that has other names only loses this one. With an id, the
 * image must have no names.
 *
 * @returns the id, and whether the image itself was removed
 * @throws {SandboxError} `image-not-found`, `image-not-in-store`, `image-in-use`, `image-has-names`,
 *   `store-not-writable`.
 */
export async function removeImage(store: string, called: string): Promise<{ id: string; removed: boolean }> {
  const isName = imageNamed(store, called) !== undefined;
  const { id } = imageRef(called, store);
  if (id === undefined) throw imageNotInStore(called, store);
  const names = imageNames(store).get(id) ?? [];
  if (!isName && names.length > 0) throw imageHasNames(id, names);
  if (names.length > 1) {
    await unnameImage(store, called, id);
    return { id, removed: false };
  }
  try {
    const kept = await discardImage(store, id, called);
    // It got another name meanwhile.
    if (isName && kept?.users.length === 0) {
      await unnameImage(store, called, id);
      return { id, removed: false };
    }
    if (kept !== undefined)
      throw kept.users.length > 0 ? imageInUse(called, kept.users) : imageHasNames(id, kept.names);
  } catch (error) {
    throw storeError(error, store);
  }
  if (isName) await unnameImage(store, called, id);
  return { id, removed: true };
}

function imageHasNames(id: string, names: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'image-has-names',
    message: `image ${id} has the ${names.length === 1 ? 'name' : 'names'} ${names.join(', ')}`,
    remedy: 'remove it by its names',
  });
}

export function imageNotInStore(called: string, store: string): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'image-not-in-store',
    message: `${called} is a directory; only images in the store ${store} can be removed`,
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

/** What keeps an image from being removed. */
export interface Kept {
  readonly users: readonly string[];
  readonly names: readonly string[];
}

/**
 * Removes an image's directory unless the image is in use, or has a name other than `called`.
 *
 * @returns what keeps it; undefined if it was removed
 */
export async function discardImage(store: string, id: string, called?: string): Promise<Kept | undefined> {
  const kept = keptBy(store, id, called);
  if (kept !== undefined) return kept;
  return withWorkspace(store, async (workspace) => {
    const moved = join(workspace, id);
    try {
      await rename(join(store, id), moved);
    } catch (error) {
      // Another process has removed it.
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw error;
    }
    // A process that took the image meanwhile has left a lease or given it a name; a later one finds no image and
    // builds one.
    const putBack = () =>
      rename(moved, join(store, id)).catch((error: unknown) => {
        if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
      });
    let late: Kept | undefined;
    try {
      late = keptBy(store, id, called);
    } catch (error) {
      await putBack();
      throw error;
    }
    if (late !== undefined) await putBack();
    return late;
  });
}

function keptBy(store: string, id: string, called: string | undefined): Kept | undefined {
  const users = new ImageUses(store).of(id);
  const names = (imageNames(store).get(id) ?? []).filter((name) => name !== called);
  return users.length + names.length > 0 ? { users, names } : undefined;
}
