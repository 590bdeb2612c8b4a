/**
 * What an overlay has changed of its root, read on the host. A guest has made the upper layer: no name there is followed,
 * and only directories are opened.
 *
 * A directory of the layer lies over that of the root unless it is opaque. A character device 0:0 hides a name of the
 * root: https://docs.kernel.org/filesystems/overlayfs.html
 */
import { type BigIntStats, lstatSync, opendirSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { quote } from '../../config/errors.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { Descent } from '../files/tree/descent.js';
import type { IsOpaque } from './overlay-attributes.js';
import { type KeptOverlay, UPPER } from './overlay-directory.js';

/** What has happened to a name of the root: docker's letters. */
export type Kind = 'A' | 'C' | 'D';

export interface Change {
  readonly kind: Kind;
  /** Absolute, as inside; see raw-text.ts. */
  readonly path: string;
}

/** Each takes room on the stack. Programs make no such trees: a path has at most 4096 bytes. */
const MOST_DEPTH = 1000;

/**
 * How much memory names may take, about in bytes: some millions of paths. A guest can make more than this process has
 * memory for.
 */
const MOST_MEMORY = 512 * 2 ** 20;

/** What a string takes besides its letters. */
const STRING_BYTES = 64;

/** Errors of a name that is gone meanwhile, is of another kind now, or that the root's file system cannot have. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENAMETOOLONG'];

/**
 * The changes in the order of their paths. What is like the root's in kind, mode, owner, size and time of change counts
 * as unchanged. A directory that only has changes in it is changed.
 * @param most units of memory for names: {@link MOST_MEMORY}
 * @throws {SandboxError} `overlay-too-deep`, `overlay-too-large`, `overlay-root-gone`, `overlay-directory-damaged`,
 *   `overlay-unreadable`
 */
export function overlayChanges(
  { layers, root }: Pick<KeptOverlay, 'layers' | 'root'>,
  isOpaque: IsOpaque,
  most = MOST_MEMORY,
): Change[] {
  const changes: Change[] = [];
  const opened: Descent[] = [];
  const open = (path: string, failure: (why: string) => SandboxError) => {
    const descent = saying(failure, () => new Descent(path));
    opened.push(descent);
    return descent;
  };
  try {
    const above = open(layers, (why) => damaged(layers, why));
    // A guest may have put a link there at any time.
    saying(
      (why) => damaged(layers, why),
      () => above.enter(Buffer.from(UPPER)),
    );
    const below = open(root, (why) => rootGone(root, why));
    saying(
      (why) => unreadable(layers, why),
      () => new Walk(above, below, isOpaque, changes, { left: most, layers }).directory('', true),
    );
  } finally {
    for (const descent of opened) descent.close();
  }
  return changes.sort((one, other) => Buffer.compare(bytesOf(one.path), bytesOf(other.path)));
}

/** The result of `act`; what a system call says in it becomes an error for people. */
function saying<T>(failure: (why: string) => SandboxError, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (isSystemError(error)) throw failure(messageOf(error));
    throw error;
  }
}

/** How much memory may still go to names, about in bytes, and where they are from. */
interface Room {
  left: number;
  readonly layers: string;
}

class Walk {
  constructor(
    readonly upper: Descent,
    readonly lower: Descent,
    readonly isOpaque: IsOpaque,
    readonly changes: Change[],
    readonly room: Room,
  ) {}

  /**
   * The directory that was entered last.
   * @param hasLower the root has one of that path, which was entered too
   * @param isHidden an opaque directory is above: nothing of the root's is seen
   */
  directory(path: string, hasLower: boolean, isHidden = false): void {
    // The layer itself is one of them.
    if (this.upper.depth > 1 + MOST_DEPTH) throw tooDeep(path);
    const hides = isHidden || (path !== '' && this.isOpaque(this.upper.fd));
    const names = this.#names();
    for (const name of names) this.#entry(path, bufferOf(name), hasLower, hides);
    for (const name of names) this.room.left += costOf(name);
    if (!hasLower || !hides) return;
    for (const name of readdirSync(`/proc/self/fd/${this.lower.fd}`, { encoding: 'buffer' }))
      if (statOf(this.upper, name) === undefined) this.#add('D', `${path}/${textOf(name)}`);
  }

  /** Those in the overlay's directory, a byte a letter. */
  #names(): string[] {
    const names: string[] = [];
    const directory = opendirSync(`/proc/self/fd/${this.upper.fd}`, { encoding: 'latin1' });
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        this.#take(entry.name);
        names.push(entry.name);
      }
    } finally {
      directory.closeSync();
    }
    return names;
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
    this.#take(path);
    this.changes.push({ kind, path });
  }

  #take(name: string): void {
    this.room.left -= costOf(name);
    if (this.room.left < 0) throw tooLarge(this.room.layers);
  }
}

function costOf(name: string): number {
  return name.length + STRING_BYTES;
}

function bufferOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** The result of `read`; undefined if the name has gone meanwhile, or is another kind of file now. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (GONE.some((code) => isSystemError(error, code))) return undefined;
    throw error;
  }
}

function statOf(directory: Descent, name: Buffer): BigIntStats | undefined {
  return unlessGone(() => lstatSync(directory.path(name), { bigint: true }));
}

/** False if it is gone meanwhile, or is no directory any more. */
function enters(directory: Descent, name: Buffer): boolean {
  return (
    unlessGone(() => {
      directory.enter(name);
      return true;
    }) ?? false
  );
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
  const targetIn = (directory: Descent) => unlessGone(() => readlinkSync(directory.path(name), 'latin1'));
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

function tooLarge(layers: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-too-large',
    message: `the overlay in ${quote(dirname(layers))} has changed more names than there is room for`,
    remedy: `look into it with find ${join(layers, UPPER)} -xdev`,
  });
}

function damaged(layers: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-directory-damaged',
    message: `the overlay in ${quote(dirname(layers))} is damaged: ${UPPER} is no directory: ${why}`,
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

function unreadable(layers: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-unreadable',
    message: `what the overlay in ${quote(dirname(layers))} has changed cannot be read: ${why}`,
    remedy: 'if a sandbox that runs moves directories there, ask again when it has ended',
  });
}
