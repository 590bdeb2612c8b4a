/** Whether an image has the units that a service is to run. */
import { configError, quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import { withLookUp } from '../../oci/erofs/look-up.js';
import { ErofsError } from '../../oci/erofs/reader.js';
import { withImageRoot } from '../../sandbox/image-root/with-image-root.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { filesOfImage, findUnit } from '../units/find.js';

/**
 * Looks for them in the image, which is pulled if it is not in the store. A service of another kind is passed over.
 * @throws {SandboxError} `service-image-unreadable`, and what `withImageRoot` and `findUnit` throw
 */
export async function checkUnitsOfImage(name: string, config: SandboxConfig, options: LaunchOptions): Promise<void> {
  const { root, service } = config;
  if (root.type !== 'image' || service?.type !== 'systemd') return;
  const { config: rooted, release } = await withImageRoot(config, options, 'optional');
  try {
    const { stored } = rooted.root.type === 'image' ? rooted.root : root;
    withLookUp(stored?.path ?? '', (lookUp) => {
      const files = filesOfImage(lookUp, rootText(root));
      for (const unit of service.units) findUnit(files, unit, name);
    });
  } catch (error) {
    throw error instanceof ErofsError ? unreadable(rootText(root), error) : error;
  } finally {
    release();
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
