/** Whether the sandbox has its home in memory. */
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GuestHome } from '../../../init/common/config.js';
import { mountsBeforeHome } from '../../config/home.js';
import { covers } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { isForeign, type ShareServer } from './shares.js';

/** The bit of a directory's mode that lets others enter it. */
const OTHERS_ENTER = 0o001;

/** The home in memory; undefined: none. */
export function homeInMemory(config: SandboxConfig, server: ShareServer): GuestHome | undefined {
  if (config.home?.type === 'tmp') {
    return { isAsked: true, after: mountsBeforeHome(config) };
  }
  return config.home === undefined && needsOwnHome(config, server) ? { isAsked: false, after: 0 } : undefined;
}

/**
 * True if the home is there and cannot be entered: QEMU serves root's files as somebody else, and root in a container
 * is somebody else. A home below a directory that cannot be entered cannot be a mount point either.
 */
function needsOwnHome(config: SandboxConfig, { kind }: ShareServer): boolean {
  const { identity, mounts, privileged, root } = config;
  const { home } = identity;
  const isSomebodyElse = kind === 'lxc' ? identity.uid === 0 && privileged !== true : isForeign(kind);
  if (!isSomebodyElse || home === '/' || root.type === 'image') return false;
  // A mount on / is the root.
  if (mounts.some(({ target }) => covers(target, home))) return false;
  const { path } = root;
  return canEnter(join(path, dirname(home))) && isDirectory(join(path, home)) && !canEnter(join(path, home));
}

/** Whether everybody may enter a directory, and those above it. */
export function canEnter(path: string): boolean {
  const mode = valueOr(() => statSync(path).mode, 0);
  return (mode & OTHERS_ENTER) !== 0 && (path === '/' || canEnter(dirname(path)));
}

function isDirectory(path: string): boolean {
  return valueOr(() => statSync(path).isDirectory(), false);
}
