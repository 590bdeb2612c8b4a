/** The mounts of an include: the mount that it is copied into, and the mount that sandbox.cfg lists it under. */
import { option } from '../util/option-names.js';
import { argumentError, quote } from './errors.js';
import { tableOrder } from './hash-order.js';
import { covers, normalizePath } from './path.js';
import type { Include, Mount } from './types.js';

/** An include and the mount that it is copied into. */
export interface PlacedInclude {
  readonly mount: Mount;
  readonly include: Include;
}

/**
 * Every include with the mount that it is copied into: the one with the longest target that covers its path. Includes
 * with shorter paths come first, so that one inside another is copied after it. Their order in the file comes from a
 * hash table and means nothing.
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

/**
 * The mount that has `path` inside: the longest target counts, and of equal targets the later mount, which is on top.
 */
export function coveringMount(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (!covers(mount.target, path)) continue;
    if (best === undefined || normalizePath(mount.target).length >= normalizePath(best.target).length) best = mount;
  }
  return best;
}

/**
 * Adds each include to the mount that sandbox.cfg lists it under, in the order of the file. Both follow
 * libvirt-sandbox: the mount is the first whose target the path begins with, the order is that of a hash table. Neither
 * says where an include is copied to; {@link includesOf} does. A mount that the path only begins with, as `/ab` does
 * with `/a`, is passed over where {@link pathFromBelow} would take its `dst` for a path inside it.
 * @param remedyFor what to do about one that no mount covers, if it is more than to add one
 * @throws SandboxError `include-not-covered`
 */
export function attachIncludes(
  mounts: readonly Mount[],
  includes: readonly Include[],
  remedyFor: (target: string) => string | undefined = () => undefined,
): readonly Mount[] {
  const isCovered = isCoveredBy(mounts.map(({ target }) => target));
  const comesBack = (mount: string, path: string) => {
    const below = pathBelow(mount, path);
    const read = pathFromBelow(mount, below, isCovered);
    return normalizePath(read) === normalizePath(path) && pathBelow(mount, read) === below;
  };
  const added = new Map<Mount, Include[]>();
  for (const include of includes) {
    if (coveringMount(mounts, include.target) === undefined) {
      throw argumentError(
        'include-not-covered',
        `include ${quote(include.target)} is not inside any mount`,
        remedyFor(include.target) ?? `add a mount (${option('mounts')}) whose target is above it`,
      );
    }
    const mount =
      mounts.find(({ target }) => include.target.startsWith(target) && comesBack(target, include.target)) ??
      mounts.find(({ target }) => covers(target, include.target));
    if (mount !== undefined) added.set(mount, [...(added.get(mount) ?? []), include]);
  }
  return mounts.map((mount) => {
    const more = added.get(mount);
    if (more === undefined) return mount;
    // Includes from a file keep their order, so that saving it again gives the same bytes.
    if (mount.includes.length > 0) return { ...mount, includes: [...mount.includes, ...more] };
    return { ...mount, includes: tableOrder(more, ({ target }) => pathBelow(mount.target, target)) };
  });
}

/**
 * The value of `dst` in sandbox.cfg: the part of an include's path after the mount's target. It begins with `/` unless
 * the mount's target ends with one.
 * @param mount the mount's target
 * @param target the include's path in the guest
 */
export function pathBelow(mount: string, target: string): string {
  const rest = target.startsWith(mount) ? target.slice(mount.length) : undefined;
  if (rest !== undefined && (/^(?:\/|$)/.test(rest) || mount.endsWith('/') || !covers(mount, target))) return rest;
  // The same directory spelled in two ways, as /. and /.x are: compare the normalized paths.
  const below = normalizePath(target).slice(normalizePath(mount) === '/' ? 0 : normalizePath(mount).length);
  return mount.endsWith('/') ? below.slice(1) : below;
}

/** Whether a path is inside a mount. One on / has every path inside, so it says nothing about a missing slash. */
export function isCoveredBy(targets: readonly string[]): (path: string) => boolean {
  const others = targets.filter((target) => normalizePath(target) !== '/');
  return (path) => others.some((target) => covers(target, path));
}

/**
 * The inverse of {@link pathBelow}. A person may leave out the `/` between target and `dst`; it is added if the path
 * without it is inside no mount.
 * @param isCovered see {@link isCoveredBy}
 */
export function pathFromBelow(mount: string, below: string, isCovered: (path: string) => boolean): string {
  const path = mount + below;
  return below === '' || mount.endsWith('/') || below.startsWith('/') || isCovered(path) ? path : `${mount}/${below}`;
}
