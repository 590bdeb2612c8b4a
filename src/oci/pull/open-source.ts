/** From what a user writes behind --root to a source of the image. */

import type { Platform } from '../../oci-names/platform.js';
import type { RootImage } from '../../oci-names/root-image.js';
import { openLocal } from '../local/local.js';
import { openRegistry } from '../registry/registry.js';
import type { ImageSource } from '../source.js';
import type { StorePaths } from '../store/store-paths.js';
import type { PullOptions } from './types.js';

/**
 * Opens an image, and runs `use` with it. Errors: those of registries, directories, archives, virt-builder and `use`.
 * @param platform of what does not say its own: `tar:` and `virt-builder:`
 */
export async function withSource<T>(
  image: RootImage,
  paths: StorePaths,
  platform: Platform,
  { registry = {}, signal, onProgress }: PullOptions,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  if (image.transport === 'virt-builder') {
    const { withBuiltRoot } = await import('../virt-builder/built-root.js');
    return withBuiltRoot(paths, image, { platform, environment: registry.environment, signal, onProgress }, use);
  }
  const source =
    image.transport === 'docker'
      ? await openRegistry(image.reference, registry)
      : await openLocal(image, platform, signal);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
