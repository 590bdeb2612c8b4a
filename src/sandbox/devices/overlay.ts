/** The overlay over the root of a machine. */
import { statSync } from 'node:fs';
import type { GuestOverlay } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';

/** The bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;

/** What the topmost directory of the overlay has of the root. */
export function overlayOf({ root }: SandboxConfig): GuestOverlay {
  // checkHost() says so if it is missing; an image can be baked for it all the same.
  const { mode, uid, gid } = valueOr(() => statSync(root), undefined) ?? { mode: 0o755, uid: 0, gid: 0 };
  return { mode: mode & PERMISSIONS, uid, gid };
}
