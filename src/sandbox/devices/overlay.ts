/** The overlay over the root of a sandbox. */
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestLayer, GuestOverlay } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { mountsBelowRoot } from './host-mounts.js';

/**
 * A machine is served one file system, with all that is mounted below the root. In a container each mount is one, and
 * needs an overlay of its own.
 */
export function overlayOf({ root, memory }: SandboxConfig, platform: 'machine' | 'container'): GuestOverlay {
  const isContainer = platform === 'container';
  const below = isContainer ? valueOr(() => mountsBelowRoot(realpathSync(root)), []) : [];
  const layers = ['/', ...below.map((path) => `/${path}`)].map((path) => layerOf(root, path));
  // In a machine a tmpfs takes at most half of the memory anyway. In a container that is the host's.
  return { bytes: isContainer ? Math.floor(memory / 2) : undefined, layers };
}

/** The bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;

function layerOf(root: string, path: string): GuestLayer {
  // checkHost() says so if it is missing; an image can be baked for it all the same.
  const found = valueOr(() => statSync(join(root, path)), undefined);
  const { mode, uid, gid } = found ?? { mode: 0o755, uid: 0, gid: 0 };
  return { path, mode: mode & PERMISSIONS, uid, gid };
}
