/** Making an image ahead of the sandboxes that use it. */

import { resolveImage } from './resolve.js';
import { sweepStoredSnapshots } from './snapshot/generations.js';
import { exportImage, sweepOutputs } from './store/export.js';
import { checkImageName, nameImage } from './store/names.js';
import { defaultStoreDirectory } from './store/store.js';
import { sweepWorkspaces } from './store/workspace.js';
import type { BootImage, ImageOptions } from './types.js';

export interface CreateOptions extends ImageOptions {
  /** Name in the store. */
  readonly name?: string | undefined;
  /** A directory that becomes a copy of the image. */
  readonly output?: string | undefined;
  /** Adds to the image in a directory, which has neither its name nor its place yet; where this fails it gets neither. */
  readonly complete?: (directory: string) => Promise<void>;
}

export interface CreatedImage extends BootImage {
  readonly name: string | undefined;
  readonly output: string | undefined;
}

/**
 * Makes an image, or finds it in the store; gives it a name and copies it where that is asked for. Each of the three steps is done
 * whole or not at all, and what earlier calls left that were killed is removed.
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
