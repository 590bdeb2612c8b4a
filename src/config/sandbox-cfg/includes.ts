/** The includes of sandbox.cfg as libvirt-sandbox writes them: what follows the target of their mount in their path. */
import { normalizePath } from '../path.js';

/**
 * The path of an include as `dst` has it: what follows the mount's target. It begins with `/` unless the target ends with one.
 * @param target where the include goes, inside
 */
export function pathBelow(mount: string, target: string): string {
  if (target.startsWith(mount)) return target.slice(mount.length);
  // Two spellings of one place have only their meaning in common.
  const place = normalizePath(target).slice(normalizePath(mount) === '/' ? 0 : normalizePath(mount).length);
  return mount.endsWith('/') ? place.slice(1) : place;
}

/**
 * The opposite of {@link pathBelow}. A person may leave out the `/` between the two, so it counts as written where they are no path without it.
 * @param isCovered whether a path is inside a mount
 */
export function pathFromBelow(mount: string, below: string, isCovered: (path: string) => boolean): string {
  const path = mount + below;
  return mount.endsWith('/') || isCovered(path) ? path : `${mount}/${below}`;
}
