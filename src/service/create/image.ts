/** Whether an image can be the root of a service: what the first start would find out, perhaps at the boot of a host. */
import { configError, quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { Root, SandboxConfig } from '../../config/types.js';
import { withLookUp } from '../../oci/erofs/look-up.js';
import { ErofsError } from '../../oci/erofs/reader.js';
import { withImageRoot } from '../../sandbox/image-root/with-image-root.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { filesOfImage, findUnit } from '../units/find.js';

/**
 * Pulls the image, as its root says, and looks whether it has what the service runs. Another root is passed over.
 * @returns the root with the file system of the image
 * @throws {SandboxError} `service-image-unreadable`, and what `withImageRoot` and `findUnit` throw
 */
export async function checkImage(name: string, config: SandboxConfig, options: LaunchOptions): Promise<Root> {
  const { root, service } = config;
  if (root.type !== 'image') return root;
  const units = service?.type === 'systemd' ? service.units : undefined;
  const { config: rooted, release } = await withImageRoot(config, options, units ? 'optional' : 'needed');
  try {
    const { stored } = rooted.root.type === 'image' ? rooted.root : root;
    if (units) findUnits(name, units, stored?.path ?? '', rootText(root));
    return { ...root, stored };
  } finally {
    release();
  }
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
