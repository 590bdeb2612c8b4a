/**
 * The store of boot images as a part of the public API. Each function loads its code on its first call, since starting
 * a sandbox needs none of it.
 */

import type { CreatedImage, CreateOptions } from './create-ahead.js';
import type { StoredImage, StoredSnapshot } from './inspect/inventory.js';
import type { Damage } from './inspect/verify.js';
import type { PruneOptions, Removal } from './remove/prune.js';
import { defaultStoreDirectory } from './store/store.js';

export type { CreatedImage, CreateOptions, Damage, PruneOptions, Removal, StoredImage, StoredSnapshot };

/** Options of `virt-sandbox-bake create`. The path of the native init is optional; default: this package's own. */
export type BakeOptions = Omit<CreateOptions, 'nativeInit'> & Partial<Pick<CreateOptions, 'nativeInit'>>;

/**
 * Makes and manages boot images, which sandboxes use through the key `image`. `store` is the directory of the
 * images; default: this user's store.
 */
export const Images = {
  /**
   * Builds an image, or finds it in the store; see {@link CreateOptions}.
   * @throws {SandboxError} stage `kernel`, `modules`, `image`
   */
  async create(options: BakeOptions): Promise<CreatedImage> {
    const [{ createImage }, { hostProgram }] = await Promise.all([
      import('./create-ahead.js'),
      import('../util/programs.js'),
    ]);
    return createImage({ nativeInit: options.nativeInit ?? hostProgram('init'), ...options });
  },
  /** Lists every image of the store, last used first. */
  async list(store = defaultStoreDirectory()): Promise<StoredImage[]> {
    return (await import('./inspect/inventory.js')).storedImages(store);
  },
  /**
   * Checks every byte of an image. Returns its damages; none for a whole image. @throws {SandboxError}
   * `image-not-found`
   */
  async verify(called: string, store = defaultStoreDirectory()): Promise<Damage[]> {
    const [{ imageRef }, { verifyImage }] = await Promise.all([
      import('./store/open.js'),
      import('./inspect/verify.js'),
    ]);
    return verifyImage(imageRef(called, store));
  },
  /** Removes an image by its name or id. @throws {SandboxError} `image-not-found`, `image-in-use`, `image-has-names` */
  async remove(called: string, store = defaultStoreDirectory()): Promise<{ id: string; removed: boolean }> {
    return (await import('./remove/remove-images.js')).removeImage(store, called);
  },
  /** Removes the images that have no name and are not in use. @throws {SandboxError} `store-not-writable` */
  async prune(options: PruneOptions = {}, store = defaultStoreDirectory()): Promise<Removal> {
    return (await import('./remove/prune.js')).pruneImages(store, options);
  },
};
