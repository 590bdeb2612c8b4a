/** Which mount an include belongs to: the one that it is copied into, and the one that sandbox.cfg shows it with. */
import { argumentError, quote } from './failure.js';
import { tableOrder } from './hash-order.js';
import { covers, normalizePath } from './path.js';
import type { Include, Mount } from './types.js';

/** An include and the mount that it is copied into. */
export interface PlacedInclude {
  readonly mount: Mount;
  readonly include: Include;
}

/**
 * Every include with the mount it goes to: the longest target that is its path or above it. An include that lies over another one comes after
 * it, so that their order, which a hash table of libvirt-sandbox has made, means nothing.
 */
export function includesOf(mounts: readonly Mount[]): readonly PlacedInclude[] {
  const placed = mounts.flatMap(({ includes }) =>
    includes.flatMap((include): PlacedInclude[] => {
      const mount = coveringMount(mounts, include.target);
      return mount === undefined ? [] : [{ mount, include }];
    }),
  );
  return placed.sort((a, b) => normalizePath(a.include.target).length - normalizePath(b.include.target).length);
}

/** Of two mounts on one target it is the later one, which hides the earlier. */
export function coveringMount(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (!covers(mount.target, path)) continue;
    if (best === undefined || normalizePath(mount.target).length >= normalizePath(best.target).length) best = mount;
  }
  return best;
}

/**
 * The mounts with each include added to the one that sandbox.cfg shows it with, in the order that the file has. Both are libvirt-sandbox's: the
 * first mount whose target the path begins with, and the order of a hash table. Neither says where an include goes: {@link includesOf} does.
 * @throws SandboxError `include-not-covered`
 */
export function attachIncludes(mounts: readonly Mount[], includes: readonly Include[]): readonly Mount[] {
  const added = new Map<Mount, Include[]>();
  for (const include of includes) {
    if (coveringMount(mounts, include.target) === undefined) {
      throw argumentError(
        'include-not-covered',
        `include ${quote(include.target)} is not inside any mount`,
        'add a --mount whose target is above it',
      );
    }
    const mount =
      mounts.find(({ target }) => include.target.startsWith(target)) ??
      mounts.find(({ target }) => covers(target, include.target));
    if (mount !== undefined) added.set(mount, [...(added.get(mount) ?? []), include]);
  }
  return mounts.map((mount) => {
    const more = added.get(mount);
    if (more === undefined) return mount;
    // Those of a file keep its order, so that it is the same when it is saved again.
    if (mount.includes.length > 0) return { ...mount, includes: [...mount.includes, ...more] };
    return { ...mount, includes: tableOrder(more, ({ target }) => pathBelow(mount.target, target)) };
  });
}

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
