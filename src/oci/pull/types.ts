/** What is pulled, how, and what comes of it. */

import type { Digest } from '../../oci-names/digest.js';
import type { Platform } from '../../oci-names/platform.js';
import type { ImageConfig } from '../image-config.js';
import type { OnPullProgress } from '../progress.js';
import type { RegistryOptions } from '../registry/options.js';
import type { LeasedRoot } from '../store/roots.js';
import type { StorePaths } from '../store/store-paths.js';
import type { Tag } from '../store/tags.js';

export interface PullOptions {
  /** That of the image which is meant, whatever its name means by now. */
  readonly manifest?: Digest | undefined;
  readonly paths?: StorePaths | undefined;
  /** Default: that of this host. */
  readonly platform?: Platform | undefined;
  /** What the store calls the image, in place of its name. */
  readonly storedAs?: string | undefined;
  readonly registry?: RegistryOptions | undefined;
  readonly onProgress?: OnPullProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An image in the store, and a lease on its file system. */
export interface PulledImage extends LeasedRoot {
  readonly tag: Tag;
  readonly config: ImageConfig;
}
