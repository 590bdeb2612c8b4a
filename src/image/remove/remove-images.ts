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
    const users = await discardImage(store, id);
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

/**
 * Removes an image's directory unless the image is in use.
 *
 * @returns the users of the image; empty if it was removed
 */
export async function discardImage(store: string, id: string): Promise<readonly string[]> {
  const users = new ImageUses(store).of(id);
  if (users.length > 0) return users;
  return withWorkspace(store, async (workspace) => {
    const moved = join(workspace, id);
    await rename(join(store, id), moved);
    // A process that took the image meanwhile has left a lease; a later one finds no image and builds one.
    const late = new ImageUses(store).of(id);
    if (late.length > 0) {
      await rename(moved, join(store, id)).catch((error: unknown) => {
        if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
      });
    }
    return late;
  });
}
