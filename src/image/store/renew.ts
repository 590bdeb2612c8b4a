/**
 * Sees to it that the files of a stored image are what its manifest says. Files that are not known to have been checked
 * are read, and replaced by the checked copies. So nobody who has an old one open, as the user that once owned it, can
 * change what is booted.
 */
import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { UnreadableFile } from '../../util/regular-files.js';
import type { Manifest } from '../manifest.js';
import { isChecked, isOwnDirectory, noteChecked, ownIdentity } from './checked.js';
import { copyChecked, digestFile } from './copy.js';
import { isNotOurs } from './lease.js';
import { syncToDisk } from './sync.js';
import { withWorkspace } from './workspace.js';

/**
 * True if the image `manifest.id` of the store is whole. It costs two calls for each file where they were checked
 * before.
 *
 * @returns false if a file is missing or has another content; nothing is changed then
 * @throws the error of a system call, such as ENOSPC
 */
export async function makeWhole(store: string, manifest: Manifest): Promise<boolean> {
  if (isChecked(store, manifest)) return true;
  if (!isOwnDirectory(join(store, manifest.id))) return false;
  try {
    return await renewFiles(store, manifest);
  } catch (error) {
    // Only its owner can repair it.
    if (!isNotOurs(error)) throw error;
    return isWhole(store, manifest);
  }
}

async function renewFiles(store: string, manifest: Manifest): Promise<boolean> {
  const directory = join(store, manifest.id);
  return withWorkspace(store, async (workspace) => {
    await chmod(workspace, 0o700);
    for (const { name, size, sha256 } of manifest.files) {
      const copy = join(workspace, name);
      if ((await copyChecked(join(directory, name), copy, { size, digest: sha256 })) !== undefined) return false;
      await chmod(copy, 0o444);
      await syncToDisk(copy);
    }
    for (const { name } of manifest.files) await rename(join(workspace, name), join(directory, name));
    await noteChecked(store, manifest);
    return true;
  });
}

/** Reads the files of a store that this user cannot write to. */
async function isWhole(store: string, { id, files }: Manifest): Promise<boolean> {
  for (const { name, sha256 } of files) {
    const path = join(store, id, name);
    if (ownIdentity(path) === undefined) return false;
    try {
      if ((await digestFile(path)) !== sha256) return false;
    } catch (error) {
      if (isSystemError(error) || error instanceof UnreadableFile) return false;
      throw error;
    }
  }
  return true;
}
