/** The image that a name means, by the policy of --pull. */

import { imageError, quoted } from '../../oci-names/errors.js';
import { hostPlatform, platformText } from '../../oci-names/platform.js';
import type { PullPolicy } from '../../oci-names/pull-policy.js';
import type { RootImage } from '../../oci-names/root-image.js';
import { SandboxError } from '../../util/errors.js';
import { findPulled } from './find.js';
import { storeName } from './names.js';
import type { PulledImage, PullOptions } from './types.js';

/**
 * The image that a name means: from the store, or pulled now.
 * @throws {SandboxError} `image-not-pulled`, and those of pullImage
 */
export async function obtainImage(
  image: RootImage,
  policy: PullPolicy,
  options: PullOptions = {},
): Promise<PulledImage> {
  const pull = async () => (await import('./pull.js')).pullImage(image, options);
  if (policy === 'always') return pull();
  const found = await findPulled(image, options).catch((error: unknown) => {
    const isDamaged = error instanceof SandboxError && error.code === 'store-damaged';
    if (policy === 'never' || !isDamaged) throw error;
    return undefined;
  });
  if (found !== undefined) return found;
  if (policy === 'missing') return pull();
  throw imageError(
    'image-not-pulled',
    `${quoted(storeName(image))} is not in the store for ${platformText(options.platform ?? hostPlatform())}`,
    'pull it, or let it be pulled with --pull missing',
  );
}
