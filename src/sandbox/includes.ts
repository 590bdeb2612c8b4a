/** Which includes are copied where: into a directory of the host before the start, or through the channel when the mounts are there. */
import { includesOf, type PlacedInclude } from '../config/include.js';
import { covers, placeOf } from '../config/path.js';
import type { Include, SandboxConfig } from '../config/types.js';
import type { Guest } from '../guest/operations.js';
import type { Observers } from './launch-options.js';
import { mountSource } from './shares.js';

/** What the init mounts on a root lies over what the root has there. */
const OVER_ROOT = ['/dev', '/proc', '/sys', '/tmp', '/run'];

/**
 * Those that go into a directory of the host. What is copied there need not pass the channel, and can be in a mount that is read-only inside.
 * @param stateDirectory where fresh directories are; undefined: all but those, which are not there yet
 * @param onPiece called as the copying goes on
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`, `include-device`
 */
export async function copyOnHost(
  config: SandboxConfig,
  stateDirectory: string | undefined,
  { onChoice, onProgress }: Observers,
  onPiece: () => void,
): Promise<void> {
  const placed = includesOf(config.mounts).filter(isOnHost);
  for (const [index, mount] of config.mounts.entries()) {
    if (mount.type !== 'host-bind' || (mount.source === undefined) !== (stateDirectory !== undefined)) continue;
    const includes = placed.filter((each) => each.mount === mount).map(({ include }) => include);
    if (includes.length === 0) continue;
    onProgress?.(`Copying includes to ${mount.target}`);
    const { copyToDirectory } = await import('../includes/to-directory.js');
    const destination = { directory: mountSource(mount, index, stateDirectory ?? ''), target: mount.target };
    await copyToDirectory(destination, includes, config.identity, {
      onLeftOut: (sentence) => onChoice?.(sentence),
      onPiece,
    });
  }
}

/** All others; they need the mounts. */
export function guestIncludes({ mounts }: SandboxConfig): Include[] {
  return includesOf(mounts)
    .filter((placed) => !isOnHost(placed))
    .map(({ include }) => include);
}

/**
 * @param onPiece called as the copying goes on
 * @throws {SandboxError} `include-unreadable`, `include-failed`
 */
export async function copyInside(
  guest: Guest,
  config: SandboxConfig,
  { onChoice, onProgress }: Observers,
  onPiece: () => void,
): Promise<void> {
  const includes = guestIncludes(config);
  if (includes.length === 0) return;
  onProgress?.('Copying includes');
  const { copyToGuest } = await import('../includes/to-guest.js');
  await copyToGuest(guest, includes, config.identity, { onLeftOut: (sentence) => onChoice?.(sentence), onPiece });
}

/** A fresh directory is removed with the sandbox, so it is better filled when somebody watches over that. */
function isOnHost({ mount, include }: PlacedInclude): boolean {
  if (mount.type !== 'host-bind') return false;
  if (placeOf(mount.target) === '/' && OVER_ROOT.some((place) => covers(place, include.target))) return false;
  return mount.source !== undefined || mount.readOnly;
}
