/** The upper layers of an overlay that is kept: a machine has one, a container one for each mount. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { covers } from '../../config/path.js';
import { textOf } from '../../util/raw-text.js';
import { MOUNTS, UPPER } from './overlay-directory.js';
import type { OverlayKind } from './overlay-record.js';

/** As kept_make() of init/root-overlay/kept.c names them. */
const NAME = /^%2F(?:%[0-9A-F]{2}|[A-Za-z0-9._-])*$/;

/** The upper layer of a mount. */
export interface Layer {
  /** Its path in the root: '' is the root itself. */
  readonly mount: string;
  /** The directories from the share on. */
  readonly way: readonly string[];
}

/**
 * The layers that are there.
 * @param layers the share
 * @throws the error of a system call
 */
export function upperLayers(layers: string, kind: OverlayKind): Layer[] {
  if (kind === 'machine') return [{ mount: '', way: [UPPER] }];
  return readdirSync(join(layers, MOUNTS)).flatMap((name) => {
    // Root's own, such as a copy.
    if (!NAME.test(name) || name.includes('%00')) return [];
    const way = [MOUNTS, name, UPPER];
    // Whoever was killed has not made it.
    if (lstatSync(join(layers, ...way), { throwIfNoEntry: false }) === undefined) return [];
    const path = pathOf(name);
    if (path !== '/' && !isSeen(layers, path)) return [];
    return [{ mount: path === '/' ? '' : path, way }];
  });
}

/** The layer in which a path lies: that of the deepest mount. */
export function layerOf(all: readonly Layer[], path: string): Layer | undefined {
  return all
    .filter(({ mount }) => mount === '' || covers(mount, path))
    .sort((one, other) => other.mount.length - one.mount.length)[0];
}

/** False where the root's layer has removed or replaced a directory on the way: then no container shows the mount. */
function isSeen(layers: string, mount: string): boolean {
  let at = join(layers, MOUNTS, '%2F', UPPER);
  for (const name of mount.split('/').slice(1)) {
    at = join(at, name);
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found === undefined) return true;
    if (!found.isDirectory()) return false;
  }
  return true;
}

/** The path of a mount whose layers have that name: init/root-overlay/kept.h */
function pathOf(name: string): string {
  const bytes = name.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return textOf(Buffer.from(bytes, 'latin1'));
}
