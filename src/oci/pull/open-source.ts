/** From what a user writes behind --root to a source of the image. */

import type { Platform } from '../../oci-names/platform.js';
import type { RootImage } from '../../oci-names/root-image.js';
import { openLocal } from '../local/local.js';
import type { RegistryOptions } from '../registry/options.js';
import { openRegistry } from '../registry/registry.js';
import type { ImageSource } from '../source.js';

/**
 * Opens an image. Errors: those of registries, directories and archives.
 * @param platform of `tar:` archives, which do not say theirs
 */
export async function openSource(
  image: RootImage,
  platform: Platform,
  options: RegistryOptions,
  signal: AbortSignal | undefined,
): Promise<ImageSource> {
  return image.transport === 'docker' ? openRegistry(image.reference, options) : openLocal(image, platform, signal);
}
