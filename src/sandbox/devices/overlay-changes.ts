/**
 * What an overlay has changed of its root, read on the host. A guest has made the upper layer: no name there is followed,
 * and only directories are opened.
 *
 * A directory of the layer lies over that of the root unless it is opaque. A character device 0:0 hides a name of the
 * root: https://docs.kernel.org/filesystems/overlayfs.html
 */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { SandboxError, valueOr } from '../../util/errors.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { Descent } from '../files/tree/descent.js';
import type { KeptOverlay } from './overlay-directory.js';

/** What has happened to a name of the root: docker's letters. */
export type Kind = 'A' | 'C' | 'D';

export interface Change {
  readonly kind: Kind;
  /** Absolute, as inside; see raw-text.ts. */
  readonly path: string;
}

/** Each takes room on the stack. Programs make no such trees: a path has at most 4096 bytes. */
const MOST_DEPTH = 1000;

/** Whether the overlay's directory with this descriptor hides that of the root: its attribute. */
export type IsOpaque = (fd: number) => boolean;

/** As share-server has virtiofsd name it: init/share-server/layers.h */
const OPAQUE = 'user.virtiofs.trusted.overlay.opaque';

/** Node.js reads no extended attributes: getxattr(2). */
export async function opaqueByAttribute(): Promise<IsOpaque> {
  const { default: koffi } = await import('koffi');
  const fgetxattr = koffi
    .load('libc.so.6')
    .func('intptr_t fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t size)');
  return (fd) => {
    const value = Buffer.alloc(1);
    return fgetxattr(fd, OPAQUE, value, value.length) === 1 && value.toString() === 'y';
  };
}

/**
 * The changes in the order of their paths. What is like the root's in kind, mode, owner, size and time of change counts
 * as unchanged. A directory that only has changes in it is changed.
 * @throws {SandboxError} `overlay-too-deep`
 */
export function overlayChanges({ upper, root }: Pick<KeptOverlay, 'upper' | 'root'>, isOpaque: IsOpaque): Change[] {
  const changes: Change[] = [];
  const above = new Descent(upper);
  const below = new Descent(root);
  try {
    new Walk(above, below, isOpaque, changes).directory('', true);
  } finally {
    above.close();
    below.close();
  }
  return changes.sort((one, other) => Buffer.compare(bytesOf(one.path), bytesOf(other.path)));
}

class Walk {
  constructor(
    readonly upper: Descent,
    readonly lower: Descent,
    readonly isOpaque: IsOpaque,
    readonly changes: Change[],
  ) {}

  /**
   * The directory that was entered last.
   * @param hasLower the root has one of that path, which was entered too
   * @param isHidden an opaque directory is above: nothing of the root's is seen
   */
  directory(path: string, hasLower: boolean, isHidden = false): void {
    if (this.upper.depth > MOST_DEPTH) throw tooDeep(path);
    const hides = isHidden || (path !== '' && this.isOpaque(this.upper.fd));
    const names = readdirSync(`/proc/self/fd/${this.upper.fd}`, { encoding: 'buffer' });
    for (const name of names) this.#entry(path, name, hasLower, hides);
    if (!hasLower || !hides) return;
    const kept = new Set(names.map((name) => name.toString('latin1')));
    for (const name of readdirSync(`/proc/self/fd/${this.lower.fd}`, { encoding: 'buffer' }))
      if (!kept.has(name.toString('latin1'))) this.#add('D', `${path}/${textOf(name)}`);
  }

  #entry(directory: string, name: Buffer, hasLower: boolean, isHidden: boolean): void {
    const path = `${directory}/${textOf(name)}`;
    const found = statOf(this.upper, name);
    const before = hasLower ? statOf(this.lower, name) : undefined;
    if (found === undefined) return;
    if (isWhiteout(found)) {
      // The root may have lost it since.
      if (before !== undefined) this.#add('D', path);
      return;
    }
    if (!found.isDirectory()) {
      if (before === undefined) this.#add('A', path);
      else if (!isAlike(found, before) || !hasSameTarget(found, this.upper, this.lower, name)) this.#add('C', path);
      return;
    }
    this.#below(path, name, found, before, isHidden);
  }

  #below(path: string, name: Buffer, found: BigIntStats, before: BigIntStats | undefined, isHidden: boolean): void {
    const mark = this.changes.length;
    const isMerged = before?.isDirectory() === true;
    if (!enters(this.upper, name)) return;
    const hasLower = isMerged && enters(this.lower, name);
    this.directory(path, hasLower, isHidden);
    this.upper.leave();
    if (hasLower) this.lower.leave();
    if (before === undefined) this.#add('A', path);
    else if (!isMerged || this.changes.length > mark || !isAlike(found, before)) this.#add('C', path);
  }

  #add(kind: Kind, path: string): void {
    this.changes.push({ kind, path });
  }
}

function statOf(directory: Descent, name: Buffer): BigIntStats | undefined {
  return valueOr(() => lstatSync(directory.path(name), { bigint: true }), undefined);
}

/** False if it is gone meanwhile, or is no directory any more. */
function enters(directory: Descent, name: Buffer): boolean {
  return valueOr(() => {
    directory.enter(name);
    return true;
  }, false);
}

function isWhiteout(found: BigIntStats): boolean {
  return found.isCharacterDevice() && found.rdev === 0n;
}

/** Of a directory neither the size nor the time: they change with each name in it. */
function isAlike(one: BigIntStats, other: BigIntStats): boolean {
  if (one.mode !== other.mode || one.uid !== other.uid || one.gid !== other.gid) return false;
  return one.isDirectory() || (one.size === other.size && one.mtimeNs === other.mtimeNs && one.rdev === other.rdev);
}

function hasSameTarget(found: BigIntStats, upper: Descent, lower: Descent, name: Buffer): boolean {
  if (!found.isSymbolicLink()) return true;
  const targetIn = (directory: Descent) => valueOr(() => readlinkSync(directory.path(name), 'latin1'), undefined);
  return targetIn(upper) === targetIn(lower);
}

function tooDeep(path: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-too-deep',
    message: `the overlay has directories within directories, more than ${MOST_DEPTH}: ${path.slice(0, 100)}…`,
    remedy: 'remove them in a sandbox with that overlay',
  });
}
