/** Where copies go: the upper layers of a service's state, before anything has run in it. */
import { chmodSync, chownSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { covers } from '../../config/path.js';
import { MOUNTS, UPPER } from '../../sandbox/devices/overlay-directory.js';
import type { OverlayKind } from '../../sandbox/devices/overlay-record.js';
import { makeDirectories } from '../../util/directories.js';
import { bytesOf } from '../../util/raw-text.js';

/** The longest name of a file. */
const NAME_MAX = 255;

/** The upper layers of a state. */
export interface Layers {
  /** Whose names the attributes of overlayfs have. */
  readonly kind: OverlayKind;
  /** Mounts of the root that have layers of their own, as paths in the root. */
  readonly mounts: readonly string[];
  /** Where something of the root goes: a path on the host. The directory above it need not be there. */
  placeOf(path: string): Buffer;
}

/** A machine has one layer. @param upper its directory, which is there */
export function oneLayer(upper: string, kind: OverlayKind): Layers {
  return { kind, mounts: [], placeOf: (path) => bytesOf(join(upper, path)) };
}

/**
 * A container has one for each mount: init/root-overlay/kept.h
 * @param layers the share
 * @param root the directory of the host
 * @param mounts paths in the root
 */
export function layerOfEachMount(layers: string, root: string, mounts: readonly string[], kind: OverlayKind): Layers {
  const own = mounts.filter((mount) => layerName(mount) !== undefined);
  const deepest = own.toSorted((one, other) => other.length - one.length);
  return {
    kind,
    mounts: own,
    placeOf: (path) => {
      const mount = deepest.find((each) => covers(each, path)) ?? '/';
      const upper = join(layers, MOUNTS, layerName(mount) ?? '', UPPER);
      makeUpper(upper, join(root, mount));
      return bytesOf(join(upper, path.slice(mount === '/' ? 0 : mount.length)));
    },
  };
}

/** As kept_make() of init/root-overlay/kept.c names it; undefined: such a mount is read-only. */
export function layerName(mount: string): string | undefined {
  const plain = mount === '/' ? '' : mount.slice(1);
  const bytes = [...bytesOf(plain)].map((byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  const name = `%2F${bytes.join('')}`;
  return name.length <= NAME_MAX ? name : undefined;
}

/** With the mode and the owners of the mount's topmost directory, which an overlay shows those of. */
function makeUpper(upper: string, lower: string): void {
  if (lstatSync(upper, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectories(upper, 0o700);
  const { mode, uid, gid } = lstatSync(lower);
  chownSync(upper, uid, gid);
  chmodSync(upper, mode & 0o7777);
}
