/**
 * Names of images: `STORE/.names/NAME` is a symbolic link to the image's directory. A name moves from one image to
 * another atomically. An image with a name is not pruned.
 */

import { readdirSync, readlinkSync } from 'node:fs';
import { rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { isImageId } from '../manifest.js';
import { makeStore, storeError } from './store.js';
import { syncToDisk } from './sync.js';
import { withWorkspace } from './workspace.js';

/**
 * Values for `--name`: a file name that cannot be mistaken for an option or a path. Ids are refused by {@link
 * isImageName}.
 */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;

function namesDirectory(store: string): string {
  return join(store, '.names');
}

export function isImageName(name: string): boolean {
  return NAME.test(name) && !isImageId(name);
}

/** @throws {SandboxError} `image-name-invalid` */
export function checkImageName(name: string): void {
  if (isImageName(name)) return;
  throw new SandboxError({
    stage: 'arguments',
    code: 'image-name-invalid',
    message: `'${name}' cannot be the name of an image`,
    remedy: 'use up to 64 letters, digits, and . _ + -, beginning with a letter or a digit',
  });
}

/** The id of the image with this name; undefined if there is none. */
export function imageNamed(store: string, name: string): string | undefined {
  if (!NAME.test(name)) return undefined;
  try {
    const id = basename(readlinkSync(join(namesDirectory(store), name)));
    return isImageId(id) ? id : undefined;
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'EINVAL')) return undefined;
    throw storeError(error, store);
  }
}

/** Sorted names of each image that has any, by its id. */
export function imageNames(store: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const name of listNames(store)) {
    const id = imageNamed(store, name);
    if (id !== undefined) names.set(id, [...(names.get(id) ?? []), name]);
  }
  return names;
}

function listNames(store: string): string[] {
  try {
    return readdirSync(namesDirectory(store)).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw storeError(error, store);
  }
}

/**
 * Gives an image a name. If another image has the name, it loses it.
 *
 * @throws {SandboxError} `image-name-invalid`, `disk-full`, `store-not-writable`.
 */
export async function nameImage(store: string, name: string, id: string): Promise<void> {
  checkImageName(name);
  makeStore(store);
  const directory = namesDirectory(store);
  try {
    makeDirectories(directory, 0o755);
    await withWorkspace(store, async (workspace) => {
      const link = join(workspace, 'name');
      await symlink(join('..', id), link);
      await rename(link, join(directory, name));
    });
    await syncToDisk(directory);
  } catch (error) {
    throw storeError(error, store);
  }
}

/** Removes a name, if this image has it still; the image stays. */
export async function unnameImage(store: string, name: string, id: string): Promise<void> {
  if (imageNamed(store, name) === id) await rm(join(namesDirectory(store), name), { force: true });
}
