/** The store of boot images, for programs. What it does is loaded when it is asked for: a sandbox needs none of it to start. */

import type { CreatedImage, CreateOptions } from './create.js';
import type { StoredImage, StoredSnapshot } from './inspect/inventory.js';
import type { Damage } from './inspect/verify.js';
import type { PruneOptions, Removal } from './remove/prune.js';
import { defaultStoreDirectory } from './store/store.js';

export type { CreatedImage, CreateOptions, Damage, PruneOptions, Removal, StoredImage, StoredSnapshot };

/** What `virt-sandbox-bake create` is told, less what this package knows by itself. */
export type BakeOptions = Omit<CreateOptions, 'nativeInit'> & Partial<Pick<CreateOptions, 'nativeInit'>>;

/**
 * Boot images, made and kept ahead of the sandboxes that use them (`LaunchOptions.image`). `store` is the directory that they are in; default:
 * this user's.
 */
export const Images = {
  /** Makes an image, or finds it; see {@link CreateOptions}. @throws {SandboxError} stage `kernel`, `modules`, `image` */
  async create(options: BakeOptions): Promise<CreatedImage> {
    const [{ createImage }, { hostProgram }] = await Promise.all([
      import('./create.js'),
      import('../util/programs.js'),
    ]);
    return createImage({ nativeInit: options.nativeInit ?? hostProgram('init'), ...options });
  },
  /** Every image of the store, last used first. */
  async list(store = defaultStoreDirectory()): Promise<StoredImage[]> {
    return (await import('./inspect/inventory.js')).storedImages(store);
  },
  /** What in an image is not as it was baked; nothing for a whole one. @throws {SandboxError} `image-not-found` */
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
  /** Removes what has no name and is not in use. @throws {SandboxError} `store-not-writable` */
  async prune(options: PruneOptions = {}, store = defaultStoreDirectory()): Promise<Removal> {
    return (await import('./remove/prune.js')).pruneImages(store, options);
  },
};
