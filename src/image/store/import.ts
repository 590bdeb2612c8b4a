/**
 * Copies the image in a directory outside the store into the store, and checks it. Only the copy is booted: the
 * directory may belong to somebody else, who may change it, or put links and FIFOs there, at any time.
 *
 * The copies are a store of their own inside the store, `.imported`, by the id of the image. So a second start copies
 * nothing, and sandboxes that do not name such a directory never use its snapshots.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxError } from '../../util/errors.js';
import { INITRD_NAME, MANIFEST_NAME, type Manifest, MOST_IMAGE_FILE, manifestText } from '../manifest.js';
import { noteChecked } from './checked.js';
import { copyChecked } from './copy.js';
import { leaseImage } from './lease.js';
import { type ImageRef, openError, readImage } from './open.js';
import { makeWhole } from './renew.js';
import { makeStore, publish, storeError, writeDurably } from './store.js';
import { syncToDisk } from './sync.js';
import { sweepWorkspaces, withWorkspace } from './workspace.js';

/** An image that may be booted. */
export interface OpenedImage {
  /** In the store. */
  readonly directory: string;
  readonly manifest: Manifest;
}

/** The store of the copies. */
export function importedStore(store: string): string {
  return join(store, '.imported');
}

/**
 * The copy of an image; it is made unless it exists. Takes a lease on it.
 *
 * @param ref a directory outside the store
 * @throws {SandboxError} as {@link readImage} does; `image-damaged` if a file is not what the manifest says;
 *   `store-not-writable`, `disk-full`
 */
export async function importImage(ref: ImageRef, store: string): Promise<OpenedImage> {
  const manifest = await readImage(ref);
  refuseUnusualFiles(ref, manifest);
  const copies = importedStore(store);
  const directory = join(copies, manifest.id);
  try {
    makeStore(copies);
    leaseImage(copies, manifest.id);
    if (!(await makeWhole(copies, manifest))) await copyImage(ref, manifest, copies);
  } catch (error) {
    const size = manifest.files.reduce((sum, file) => sum + file.size, 0);
    throw storeError(error, copies, size);
  }
  return { directory, manifest };
}

async function copyImage(ref: ImageRef, manifest: Manifest, copies: string): Promise<void> {
  await sweepWorkspaces(copies);
  await withWorkspace(copies, async (workspace) => {
    await chmod(workspace, 0o700);
    for (const { name, size, sha256 } of manifest.files) {
      const copy = join(workspace, name);
      const problem = await copyChecked(join(ref.directory, name), copy, { size, digest: sha256 });
      if (problem !== undefined) throw damagedError(join(ref.directory, name), problem);
      await chmod(copy, 0o444);
      await syncToDisk(copy);
    }
    await writeDurably(join(workspace, MANIFEST_NAME), Buffer.from(manifestText(manifest)));
    await chmod(workspace, 0o755);
    if (await publish(copies, workspace, manifest.id, false)) await noteChecked(copies, manifest);
  });
}

/** An image has a kernel and an initrd; nothing else in a manifest is copied. */
function refuseUnusualFiles({ directory }: ImageRef, { kernel, files }: Manifest): void {
  const names = files.map(({ name }) => name).sort();
  const isUsual = JSON.stringify(names) === JSON.stringify([kernel.file, INITRD_NAME].sort());
  if (!isUsual) throw damagedError(join(directory, MANIFEST_NAME), 'does not name just a kernel and an initrd');
  const large = files.find(({ size }) => size > MOST_IMAGE_FILE);
  if (large) throw damagedError(join(directory, large.name), `is larger than ${MOST_IMAGE_FILE} bytes`);
}

function damagedError(path: string, problem: string): SandboxError {
  return openError(
    'image-damaged',
    `${path} ${problem}, so the image is not what its manifest says`,
    'get it again from where it was baked, or bake it again with virt-sandbox-bake create',
  );
}
