/** Puts an image that comes from elsewhere into a store. Its files are checked before they are moved to their place. */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { INITRD_NAME, MANIFEST_NAME, type Manifest, MOST_IMAGE_FILE, manifestText } from '../manifest.js';
import { noteChecked } from './checked.js';
import { leaseImage } from './lease.js';
import { makeWhole } from './renew.js';
import { makeStore, publish, storeError, writeDurably } from './store.js';
import { syncToDisk } from './sync.js';
import { sweepWorkspaces, withWorkspace } from './workspace.js';

/** A file of an image, by its manifest. */
export type ManifestFile = Manifest['files'][number];

/**
 * Takes a lease on an image, and fetches its files unless the store has it.
 * @param fetchFile Makes the file `to`, and throws unless it is what the manifest says. Nobody else has access to its
 *   directory.
 * @returns true if it was fetched
 * @throws what `fetchFile` throws
 * @throws {SandboxError} `store-not-safe`, `store-not-writable`, `disk-full`
 */
export async function receiveImage(
  store: string,
  manifest: Manifest,
  fetchFile: (file: ManifestFile, to: string) => Promise<void>,
): Promise<boolean> {
  try {
    makeStore(store);
    leaseImage(store, manifest.id);
    if (await makeWhole(store, manifest)) return false;
    await sweepWorkspaces(store);
    await withWorkspace(store, async (workspace) => {
      await chmod(workspace, 0o700);
      for (const file of manifest.files) {
        const path = join(workspace, file.name);
        await fetchFile(file, path);
        await chmod(path, 0o444);
        await syncToDisk(path);
      }
      await writeDurably(join(workspace, MANIFEST_NAME), Buffer.from(manifestText(manifest)));
      await chmod(workspace, 0o755);
      if (await publish(store, workspace, manifest.id, false)) await noteChecked(store, manifest);
    });
    return true;
  } catch (error) {
    const size = manifest.files.reduce((sum, file) => sum + file.size, 0);
    throw storeError(error, store, size);
  }
}

/**
 * An image has a kernel and an initrd; an image from elsewhere with other files is not taken.
 * @returns the file with which something is wrong, and what; undefined: nothing is
 */
export function unusualFile({
  kernel,
  files,
}: Manifest): { readonly name: string; readonly problem: string } | undefined {
  const names = files.map(({ name }) => name).sort();
  const isUsual = JSON.stringify(names) === JSON.stringify([kernel.file, INITRD_NAME].sort());
  if (!isUsual) return { name: MANIFEST_NAME, problem: 'does not name just a kernel and an initrd' };
  const large = files.find(({ size }) => size > MOST_IMAGE_FILE);
  return large && { name: large.name, problem: `is larger than ${MOST_IMAGE_FILE} bytes` };
}
