/** `--include GUEST[=HOST]`, and files with one of them a line. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../util/errors.js';
import { argumentError, quote } from '../failure.js';
import { covers, hostPath, normalizePath } from '../path.js';
import { tableOrder } from '../sandbox-cfg/hash-order.js';
import { pathBelow } from '../sandbox-cfg/includes.js';
import type { Include, Mount } from '../types.js';
import { splitOnce } from './text.js';

/**
 * Reads one include: GUEST is where it goes, HOST what is copied. GUEST alone is copied from the same path.
 * @throws SandboxError `include-target-not-absolute`, `include-source-missing`
 */
export function parseInclude(text: string): Include {
  const [target, source] = splitOnce(text, '=') ?? [text, text];
  if (!target.startsWith('/')) {
    throw argumentError(
      'include-target-not-absolute',
      `include ${quote(text)} goes to ${quote(target)}, which is not an absolute path`,
      'write --include GUEST or GUEST=HOST, where GUEST begins with /',
    );
  }
  if (source === '') {
    throw argumentError('include-source-missing', `include ${quote(text)} has no source`, 'name a path after the =');
  }
  return { target, source: hostPath(source, `include ${quote(text)}`) };
}

/**
 * Reads a file of includes: one a line; empty lines and lines that begin with `#` are left out.
 * @throws SandboxError `include-file-unreadable`, and those of {@link parseInclude}
 */
export async function readIncludeFile(path: string): Promise<readonly Include[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw argumentError(
      'include-file-unreadable',
      `cannot read the include file ${quote(path)}: ${messageOf(error)}`,
      'name a readable file with one GUEST[=HOST] a line',
    );
  }
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.map(parseInclude);
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
