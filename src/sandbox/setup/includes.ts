/** Copies includes: into directories of the host before the start, all others over the channel when mounts are made. */
import { posix } from 'node:path';
import { mountsWithHome } from '../../config/home.js';
import { coveringMount, includesOf, type PlacedInclude } from '../../config/include-mount.js';
import { covers, normalizePath } from '../../config/path.js';
import type { Mount, SandboxConfig } from '../../config/types.js';
import type { LinkRules } from '../../includes/inside-mount.js';
import type { Guest } from '../../protocol/operations.js';
import type { MountDevice } from '../devices/mounts.js';
import type { Observers } from '../types.js';

/** The common init mounts over these directories of the root. */
const OVER_ROOT = ['/dev', '/proc', '/sys', '/tmp', '/run'];

/**
 * Copies the includes whose mount is a directory of the host. They need not pass the channel, and the mount may be
 * read-only inside.
 * @param which fresh directories, which need the state directory, or given ones
 * @param onPiece called whenever some bytes are copied
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`, `include-device`
 */
export async function copyOnHost(
  config: SandboxConfig,
  devices: readonly MountDevice[],
  which: 'fresh' | 'given',
  { onChoice, onProgress }: Observers,
  onPiece: () => void,
): Promise<void> {
  const placed = includesOf(mountsWithHome(config)).filter(isOnHost);
  for (const [index, mount] of config.mounts.entries()) {
    const { share } = devices[index] ?? {};
    if (share === undefined || mount.type !== 'host-bind') continue;
    if ((mount.source === undefined) !== (which === 'fresh')) continue;
    const includes = placed.filter((each) => each.mount === mount).map(({ include }) => include);
    if (includes.length === 0) continue;
    onProgress?.(`Copying includes to ${mount.target}`);
    const { copyToDirectory } = await import('../../includes/to-directory.js');
    const destination = { directory: share.directory, target: mount.target };
    await copyToDirectory(destination, includes, config.identity, {
      onLeftOut: (sentence) => onChoice?.(sentence),
      onPiece,
    });
  }
}

/**
 * Refuses device files in includes that reach a directory of the host over the channel: they would be devices of the
 * host. {@link copyOnHost} refuses those that it copies itself.
 * @throws {SandboxError} `include-device`, `include-unreadable`
 */
export async function refuseHostDevices(config: SandboxConfig): Promise<void> {
  const mounts = mountsWithHome(config);
  for (const placed of includesOf(mounts)) {
    if (isOnHost(placed) || !endsOnHost(mounts, placed)) continue;
    const { refuseDevices } = await import('../../includes/walk.js');
    await refuseDevices(placed.include);
  }
}

/** The includes that are copied over the channel, when the mounts are made. */
export function guestIncludes(config: SandboxConfig): PlacedInclude[] {
  return includesOf(mountsWithHome(config)).filter((placed) => !isOnHost(placed));
}

/**
 * Copies them.
 * @param onPiece called whenever some bytes are copied
 * @param rules for links; undefined: none leads anywhere that matters
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`
 */
export async function copyInside(
  guest: Guest,
  config: SandboxConfig,
  { onChoice, onProgress }: Observers,
  onPiece: () => void,
  rules?: LinkRules,
): Promise<void> {
  const includes = guestIncludes(config);
  if (includes.length === 0) return;
  onProgress?.('Copying includes');
  const { copyToGuest } = await import('../../includes/to-guest.js');
  const observer = { onLeftOut: (sentence: string) => onChoice?.(sentence), onPiece };
  await copyToGuest(guest, includes, config.identity, observer, rules);
}

/**
 * Whether it is copied on the host. A writable fresh directory is filled over the channel: by then the supervisor
 * removes it if the launcher dies.
 */
function isOnHost(placed: PlacedInclude): boolean {
  const { mount } = placed;
  return isInHostBind(placed) && mount.type === 'host-bind' && (mount.source !== undefined || mount.readOnly);
}

function isInHostBind({ mount, include }: PlacedInclude): boolean {
  if (mount.type !== 'host-bind') return false;
  return normalizePath(mount.target) !== '/' || !OVER_ROOT.some((path) => covers(path, include.target));
}

/** Whether it ends up in a directory of the host. A guest-bind shows what was mounted before it. */
function endsOnHost(mounts: readonly Mount[], placed: PlacedInclude): boolean {
  const { mount, include } = placed;
  if (mount.type !== 'guest-bind') return isInHostBind(placed);
  const earlier = mounts.slice(0, mounts.indexOf(mount));
  const target = posix.join(mount.source, posix.relative(normalizePath(mount.target), normalizePath(include.target)));
  const shown = coveringMount(earlier, target);
  return shown !== undefined && endsOnHost(earlier, { mount: shown, include: { ...include, target } });
}
