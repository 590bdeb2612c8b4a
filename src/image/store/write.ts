/**
 * Puts an image into the store, and remembers which request it answers. The image is written to a workspace and moved
 * into its place when all of it is on the disk.
 */

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from '../../util/errors.js';
import type { ImageParts } from '../build/build.js';
import { INITRD_NAME, MANIFEST_NAME, manifestText } from '../manifest.js';
import { noteChecked } from './checked.js';
import { type Remembered, rememberedPath } from './lookup.js';
import { findImage, makeStore, publish, storeError, writeDurably } from './store.js';
import { sweepWorkspaces, withWorkspace } from './workspace.js';

/**
 * Writes the image to the store unless the store has it.
 *
 * @param rebuild Also replace an image that looks whole.
 * @returns true when the image was written now.
 * @throws {SandboxError} `disk-full`, `store-not-writable`.
 */
export async function keepImage(store: string, image: ImageParts, rebuild: boolean): Promise<boolean> {
  const { manifest, boot, initrd } = image;
  if (!rebuild && (await findImage(store, manifest.id)) !== undefined) return false;
  try {
    return await inWorkspace(store, async (workspace) => {
      const writes = await Promise.allSettled([
        writeDurably(join(workspace, boot.name), boot.content),
        writeDurably(join(workspace, INITRD_NAME), initrd),
        writeDurably(join(workspace, MANIFEST_NAME), Buffer.from(manifestText(manifest))),
      ]);
      for (const write of writes) if (write.status === 'rejected') throw write.reason;
      const isPublished = await publish(store, workspace, manifest.id, rebuild);
      // Nobody else could write to these files since they were made.
      if (isPublished) await noteChecked(store, manifest);
      return isPublished;
    });
  } catch (error) {
    const size = manifest.files.reduce((sum, file) => sum + file.size, 0);
    throw storeError(error, store, size);
  }
}

/**
 * Remembers the answer to the request `key`: see lookup.ts.
 *
 * @returns false when the store cannot be written to. The image is there all the same; only the next search for it is
 *   slower.
 */
export async function rememberAnswer(store: string, key: string, answer: Remembered): Promise<boolean> {
  const data = Buffer.from(`${JSON.stringify(answer)}\n`);
  try {
    await inWorkspace(store, async (workspace) => {
      const path = join(workspace, 'remembered');
      await writeDurably(path, data);
      await rename(path, rememberedPath(store, key));
    });
    return true;
  } catch (error) {
    if (storeError(error, store) instanceof SandboxError) return false;
    throw error;
  }
}

/** Runs `use` in a workspace of the store, after removing the workspaces of builders that died. */
async function inWorkspace<T>(store: string, use: (workspace: string) => Promise<T>): Promise<T> {
  makeStore(store);
  await sweepWorkspaces(store);
  return withWorkspace(store, use);
}
