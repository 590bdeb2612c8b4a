/**
 * What an overlay that a directory keeps has changed of its root. A guest has made the upper layer: no name there is
 * followed, and only directories are opened.
 */
import { type BigIntStats, opendirSync } from 'node:fs';
import { dirname } from 'node:path';
import { quote } from '../../config/errors.js';
import { ErofsError } from '../../oci/erofs/reader.js';
import { findRoot } from '../../oci/store/roots.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { bytesOf } from '../../util/raw-text.js';
import { Descent } from '../files/tree/descent.js';
import { ImageBelow } from '../overlay/image-below.js';
import {
  type Entry,
  type LowerLayer,
  MOST_MEMORY,
  type Origin,
  Room,
  type UpperLayer,
  WHITEOUT,
} from '../overlay/layer.js';
import { enters, statOf, targetOf } from '../overlay/lower.js';
import { Lower } from '../overlay/root-below.js';
import { rootBelow } from '../overlay/unseen.js';
import { type Change, Walk } from '../overlay/walk.js';
import type { IsOpaque } from './overlay-attributes.js';
import type { KeptOverlay } from './overlay-directory.js';
import { type Layer, upperLayers } from './overlay-layers.js';
import { IMAGE } from './overlay-record.js';

/** The layers and the root that they lie over. A machine has one upper layer, a container one for each mount. */
type Layers = Pick<KeptOverlay, 'layers' | 'root'> & Partial<Pick<KeptOverlay, 'kind'>>;

/**
 * The changes in the order of their paths. What is like the root's in kind, mode, owner, size and time of change counts
 * as unchanged. A directory that only has changes in it is changed.
 * @param most units of memory for names: {@link MOST_MEMORY}
 * @throws {SandboxError} `overlay-too-deep`, `overlay-too-large`, `overlay-root-gone`, `overlay-directory-damaged`,
 *   `overlay-unreadable`
 */
export function overlayChanges(
  { layers, root, kind = 'machine' }: Layers,
  isOpaque: IsOpaque,
  most = MOST_MEMORY,
): Change[] {
  const walk = new Walk({ room: new Room(most, () => tooLarge(layers)) });
  const all = saying(
    (why) => damaged(layers, why),
    () => upperLayers(layers, kind),
  );
  // The deepest mount comes last, and counts.
  for (const layer of all.sort((one, other) => one.mount.length - other.mount.length))
    compareLayer(walk, { layers, root, ...layer }, isOpaque);
  return walk.sorted();
}

function compareLayer(
  walk: Walk,
  { layers, root, mount, way }: Layer & Pick<KeptOverlay, 'layers' | 'root'>,
  isOpaque: IsOpaque,
): void {
  const opened: { close(): void }[] = [];
  try {
    const above = saying(
      (why) => damaged(layers, why),
      () => new Descent(layers),
    );
    opened.push(above);
    // A guest may have put a link there at any time.
    saying(
      (why) => damaged(layers, why),
      () => {
        for (const name of way) above.enter(Buffer.from(name));
      },
    );
    const start = bytesOf(mount).toString('latin1').split('/').slice(1);
    // The host may have unmounted it since.
    const below = saying(
      (why) => rootGone(root, why),
      () => openBelow(root, start),
    );
    if (below) opened.push(below);
    saying(
      (why) => unreadable(layers, why),
      () => walk.compare(new KeptLayer(above, isOpaque), below, mount),
    );
  } finally {
    for (const each of opened) each.close();
  }
}

/** The directory of the host, or the file system of an image, which is in this user's store. */
function openBelow(root: string, start: readonly string[]): LowerLayer | undefined {
  if (!root.startsWith(IMAGE)) return Lower.open(rootBelow(root), start);
  const found = findRoot(new StorePaths(), root.slice(IMAGE.length));
  if (found === undefined) throw imageGone(root);
  return ImageBelow.open(found.path);
}

/** The result of `act`; what a system call says in it becomes an error for people. */
function saying<T>(failure: (why: string) => SandboxError, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (isSystemError(error) || error instanceof ErofsError) throw failure(messageOf(error));
    throw error;
  }
}

/** It has no redirects: init/common/overlay.ts mounts it with `redirect_dir=nofollow`. */
class KeptLayer implements UpperLayer {
  readonly #descent: Descent;
  readonly #isOpaque: IsOpaque;

  constructor(descent: Descent, isOpaque: IsOpaque) {
    this.#descent = descent;
    this.#isOpaque = isOpaque;
  }

  names(take: (name: string) => void): void {
    const directory = opendirSync(`/proc/self/fd/${this.#descent.fd}`, { encoding: 'latin1' });
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) take(entry.name);
    } finally {
      directory.closeSync();
    }
  }

  look(name: string): Entry | typeof WHITEOUT | undefined {
    const found = statOf(this.#descent, Buffer.from(name, 'latin1'));
    return found && isWhiteout(found) ? WHITEOUT : found;
  }

  target(name: string): string | undefined {
    return targetOf(this.#descent, Buffer.from(name, 'latin1'));
  }

  enter(name: string): boolean {
    return enters(this.#descent, Buffer.from(name, 'latin1'));
  }

  leave(): void {
    this.#descent.leave();
  }

  origin(): Origin {
    return this.#isOpaque(this.#descent.fd) ? 'none' : 'same';
  }
}

function isWhiteout(found: BigIntStats): boolean {
  return found.isCharacterDevice() && found.rdev === 0n;
}

function tooLarge(layers: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-too-large',
    message: `the overlay in ${quote(dirname(layers))} has changed more names than there is room for`,
    remedy: `look into it with find ${layers} -xdev`,
  });
}

function damaged(layers: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-directory-damaged',
    message: `the overlay in ${quote(dirname(layers))} is damaged: a layer is no directory: ${why}`,
    remedy: `what is left of it is below ${quote(layers)}`,
  });
}

function rootGone(root: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-root-gone',
    message: `the root ${quote(root)} of the overlay cannot be read: ${why}`,
    remedy: 'if it has moved, change its path in the overlay.json of the overlay',
  });
}

function imageGone(root: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-root-gone',
    message: `the overlay belongs to the root ${quote(root)}, which is not in the store`,
    remedy: 'pull the image again by its digest',
  });
}

function unreadable(layers: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-unreadable',
    message: `what the overlay in ${quote(dirname(layers))} has changed cannot be read: ${why}`,
    remedy: 'if a sandbox that runs moves directories there, ask again when it has ended',
  });
}
