/**
 * Copies the image in a directory outside the store into the store, and checks it. Only the copy is booted: the
 * directory may belong to somebody else, who may change it, or put links and FIFOs there, at any time.
 *
 * The copies are a store of their own inside the store, `.imported`, by the id of the image. So a second start copies
 * nothing, and sandboxes that do not name such a directory never use its snapshots.
 */
import { join } from 'node:path';
import type { SandboxError } from '../../util/errors.js';
import type { Manifest } from '../manifest.js';
import { copyChecked } from './copy.js';
import { type ImageRef, openError, readImage } from './open.js';
import { receiveImage, unusualFile } from './receive.js';

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
  const unusual = unusualFile(manifest);
  if (unusual !== undefined) throw damagedError(join(ref.directory, unusual.name), unusual.problem);
  const copies = importedStore(store);
  await receiveImage(copies, manifest, async ({ name, size, sha256 }, copy) => {
    const problem = await copyChecked(join(ref.directory, name), copy, { size, digest: sha256 });
    if (problem !== undefined) throw damagedError(join(ref.directory, name), problem);
  });
  return { directory: join(copies, manifest.id), manifest };
}

function damagedError(path: string, problem: string): SandboxError {
  return openError(
    'image-damaged',
    `${path} ${problem}, so the image is not what its manifest says`,
    'get it again from where it was baked, or bake it again with virt-sandbox-bake create',
  );
}
