/** Opens an image that a user names for a sandbox: what is booted is in the store, and is what the manifest says. */

import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { isImageId } from '../manifest.js';
import type { BootImage } from '../types.js';
import { importImage, type OpenedImage } from './import.js';
import { leaseImage } from './lease.js';
import { type ImageRef, imageRef, openError, readImage } from './open.js';
import { makeWhole } from './renew.js';
import { bootImage, defaultStoreDirectory, refuseUnsafeStore, storeError } from './store.js';

/**
 * The image of the store that `ref` means, by its name or by its directory in the store; undefined for a directory
 * elsewhere.
 */
export function storedId({ id, directory }: ImageRef, store: string): string | undefined {
  const name = basename(directory);
  if (id !== undefined || !isImageId(name)) return id;
  const isInStore = valueOr(() => realpathSync(dirname(directory)) === realpathSync(store), false);
  return isInStore && valueOr(() => realpathSync(directory) === join(realpathSync(store), name), false)
    ? name
    : undefined;
}

/**
 * Opens an image for a sandbox, and takes a lease on it. What is booted is in the store: a directory elsewhere is
 * copied into it, and checked.
 *
 * @param sets Module sets that the sandbox needs.
 * @throws {SandboxError} as {@link imageRef} and {@link readImage} do; `image-damaged` if a file is not what the
 *   manifest says; `image-lacks` if the image was baked without one of the sets; `store-not-safe`,
 *   `store-not-writable`, `disk-full`.
 */
export async function openImage(
  called: string,
  sets: readonly string[],
  store = defaultStoreDirectory(),
): Promise<BootImage> {
  const start = performance.now();
  const { directory, manifest } = await openRef(imageRef(called, store), store);
  const lacking = sets.filter((set) => !manifest.sets.includes(set));
  if (lacking.length > 0) {
    throw openError(
      'image-lacks',
      `boot image ${called} was baked without ${lacking.join(' and ')}, which this sandbox needs`,
      `bake one with virt-sandbox-bake create --with ${sets.filter((set) => set !== 'console').join(',')}`,
    );
  }
  const elapsed = performance.now() - start;
  return bootImage(directory, {
    manifest,
    reason: `kernel ${manifest.kernel.version} from the boot image ${called}, as asked for`,
    fresh: false,
    timings: { total: elapsed, lookup: elapsed },
  });
}

/** Finds or makes the image of a store that `ref` means, and takes a lease on it. @throws as {@link openImage} does */
export async function openRef(ref: ImageRef, store: string): Promise<OpenedImage> {
  refuseUnsafeStore(store);
  const id = storedId(ref, store);
  if (id === undefined) return importImage(ref, store);
  const directory = join(store, id);
  leaseImage(store, id);
  const manifest = await readImage({ ...ref, directory, id });
  const whole = await makeWhole(store, manifest).catch((error: unknown) => {
    throw storeError(error, store);
  });
  if (whole) return { directory, manifest };
  throw openError(
    'image-damaged',
    `a file of the image in ${directory} is not what its manifest says`,
    'bake it again with virt-sandbox-bake create --rebuild',
  );
}
