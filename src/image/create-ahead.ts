/** Creates an image before the sandboxes that use it: builds it, names it, copies it. */

import { resolveImage } from './resolve.js';
import { sweepStoredSnapshots } from './snapshot/generations.js';
import { exportImage, sweepOutputs } from './store/export.js';
import { checkImageName, nameImage } from './store/names.js';
import { defaultStoreDirectory } from './store/store.js';
import { sweepWorkspaces } from './store/workspace.js';
import type { BootImage, ImageOptions } from './types.js';

export interface CreateOptions extends ImageOptions {
  /** Name to give the image in the store. */
  readonly name?: string | undefined;
  /** Directory to copy the image to. */
  readonly output?: string | undefined;
  /**
   * Adds something to the image in `directory`, before the image gets its name and the copy moves to `output`. If it
   * fails, neither happens.
   */
  readonly complete?: ((directory: string) => Promise<void>) | undefined;
}

export interface CreatedImage extends BootImage {
  readonly name: string | undefined;
  readonly output: string | undefined;
}

/**
 * Builds an image, or finds it in the store; then copies it and names it if the options say so. Each of the three steps
 * is atomic. Leftovers of earlier calls that were killed are removed.
 *
 * @throws {SandboxError} as {@link resolveImage}, {@link nameImage} and {@link exportImage} do.
 */
export async function createImage(options: CreateOptions): Promise<CreatedImage> {
  const { name, output, complete } = options;
  const store = options.storeDirectory ?? defaultStoreDirectory();
  if (name !== undefined) checkImageName(name);
  await sweepWorkspaces(store);
  await sweepOutputs(store);
  await sweepStoredSnapshots(store);
  const image = await resolveImage(options);
  if (output !== undefined) await exportImage(image, output, store, complete);
  else await complete?.(image.directory);
  if (name !== undefined) await nameImage(store, name, image.id);
  return { ...image, name, output };
}
