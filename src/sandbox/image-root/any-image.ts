/** The root of no image in particular, for boot images and snapshots: those fit whatever image a sandbox has. */
import type { SandboxConfig } from '../../config/types.js';
import { mountOfImage } from './apply-image.js';

/** What stands for the file system of an image. Nothing looks for it. */
const ANY = '/image';

/** The sandbox with the devices of an image's root. No image is pulled. A sandbox with another root stays as it is. */
export function withAnyImage(config: SandboxConfig): SandboxConfig {
  const { root } = config;
  if (root.type !== 'image' || root.stored !== undefined) return config;
  const stored = { id: '', path: ANY, mode: 0o755, uid: 0, gid: 0, stopSignal: undefined };
  return { ...config, root: { ...root, stored }, ...mountOfImage(config, ANY) };
}
