/** Whether an image can be the root of a service: what the first start would find out, perhaps at the boot of a host. */
import { configError, quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { ImageRoot, Root, SandboxConfig } from '../../config/types.js';
import { withLookUp } from '../../oci/erofs/look-up.js';
import { ErofsError } from '../../oci/erofs/reader.js';
import { keepManifest } from '../../oci/pull/keep-manifest.js';
import type { Tag } from '../../oci/store/tags.js';
import { withImageRoot } from '../../sandbox/image-root/with-image-root.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { filesOfImage, findUnit } from '../units/find.js';

/** An image that can be the root of the service, as long as the work with it takes. */
export interface ServiceImage {
  readonly root: ImageRoot;
  readonly tag: Tag;
}

/**
 * Pulls the image, as its root says, and looks whether it has what the service runs.
 * @param root of the service
 * @throws {SandboxError} `service-image-unreadable`, and what `withImageRoot`, `findUnit` and `use` throw
 */
export async function withServiceImage<T>(
  name: string,
  config: SandboxConfig,
  root: ImageRoot,
  options: LaunchOptions,
  use: (image: ServiceImage) => Promise<T>,
): Promise<T> {
  const units = config.service?.type === 'systemd' ? config.service.units : undefined;
  const rooted = await withImageRoot({ ...config, root }, options, units ? 'optional' : 'needed');
  try {
    const { tag } = rooted;
    const found = rooted.config.root;
    if (tag === undefined || found.type !== 'image') throw new Error('the root of an image is one');
    if (units) findUnits(name, units, found.stored?.path ?? '', rootText(root));
    return await use({ root: { ...root, manifest: tag.manifest, stored: found.stored }, tag });
  } finally {
    rooted.release();
  }
}

/**
 * Binds a service to the image that the name of its root means now. Another root is passed over.
 * @returns the root with the file system of the image
 * @throws {SandboxError} what `withServiceImage` and `keepManifest` throw
 */
export async function bindImage(name: string, config: SandboxConfig, options: LaunchOptions): Promise<Root> {
  const { root } = config;
  if (root.type !== 'image') return root;
  return withServiceImage(name, config, root, options, async (image) => {
    await keepManifest(root.image, image.tag, { signal: options.signal });
    return image.root;
  });
}

/** @param image how messages name it */
function findUnits(name: string, units: readonly string[], path: string, image: string): void {
  try {
    withLookUp(path, (lookUp) => {
      const files = filesOfImage(lookUp, image);
      for (const unit of units) findUnit(files, unit, name);
    });
  } catch (error) {
    throw error instanceof ErofsError ? unreadable(image, error) : error;
  }
}

function unreadable(image: string, error: ErofsError) {
  return configError(
    'service-image-unreadable',
    `no units can be found in the image ${quote(image)}: ${error.message}`,
    'take another image, or pull it anew: virt-sandbox-image verify says whether the one in the store is whole',
    error,
  );
}
