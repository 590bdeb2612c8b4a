/**
 * The directory that keeps an overlay:
 *
 *   overlay.json     the root that it belongs to: overlay-record.ts
 *   layers.ext4      if it has a bound, the file system that is mounted on layers/: overlay-bound.ts
 *   layers/          the share, where the guest writes what it likes
 *   layers/upper/    what differs from the root, as overlayfs keeps it
 *   layers/work/     overlayfs's own
 *   layers/mounts/   a container's, in place of these: the layers of each mount, by its path (init/root-overlay/kept.h)
 *
 * What a guest has written is hostile: programs with set-user-ID bits, links to anywhere. So nobody but root reaches the
 * directory, and nothing below `layers` is opened here by a path that may have a link in it.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { normalizePath } from '../../config/path.js';
import type { Root, SandboxConfig } from '../../config/types.js';
import { isSystemError, messageOf, type SandboxError, valueOr } from '../../util/errors.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { attributesOf, takesAttributes } from './overlay-attributes.js';
import { BOUND, isBound, refuseUnmounted } from './overlay-bound.js';
import {
  checkRecord,
  IMAGE,
  NEW_RECORD,
  type OverlayKind,
  type OverlayRecord,
  readRecord,
  writeRecord,
} from './overlay-record.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

const LAYERS = 'layers';
/** The layer with what differs from the root, in the share. */
export const UPPER = 'upper';
const WORK = 'work';
/** The layers of each mount of a container. */
export const MOUNTS = 'mounts';

/** Whose overlay it is to be: a machine's, if nothing is said. */
type OverlayUse = Pick<SandboxConfig, 'root'> & { readonly kind?: OverlayKind };

/** What the topmost directory of a new overlay has of the root. */
export interface Topmost {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Where the layers are, by a path without links above them. The directory need not be there yet. */
export function layersOf(path: string): string {
  return join(realPathOf(path), LAYERS);
}

/** The path without links. Its last part need not be there. */
function realPathOf(path: string): string {
  const plain = normalizePath(path);
  const whole = valueOr(() => realpathSync(plain), undefined);
  if (whole !== undefined) return whole;
  const above = valueOr(() => realpathSync(dirname(plain)), undefined);
  return above === undefined ? plain : join(above, basename(plain));
}

/**
 * Checks the directory of an overlay, if it is there, and that it belongs to that root, and to sandboxes of that kind.
 * @throws {SandboxError} what {@link checkRecord} and {@link keptOverlay} throw
 */
export function checkOverlayDirectory(path: string, use: OverlayUse): void {
  const kept = keptOverlay(path);
  if (kept !== undefined) checkRecord(kept.directory, kept, recordOf(use));
}

function recordOf({ root, kind = 'machine' }: OverlayUse): OverlayRecord {
  return { root: rootOnRecord(root), kind };
}

/** An overlay that a directory keeps. */
export interface KeptOverlay extends OverlayRecord {
  /** Without links in it. */
  readonly directory: string;
  /** The share, where the guest writes: what differs from that root is below. */
  readonly layers: string;
}

/**
 * The overlay in a directory, checked with those above it. Undefined: there is none yet.
 * @throws {SandboxError} `overlay-directory-unsafe`, `overlay-parent-missing`, `overlay-directory-foreign`,
 *   `overlay-directory-damaged`, `overlay-not-mounted`
 */
export function keptOverlay(path: string): KeptOverlay | undefined {
  const directory = realPathOf(path);
  checkWay(path, directory);
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  checkOwn(directory, found);
  const record = readRecord(directory);
  if (record === undefined) checkUnused(directory);
  checkClosed(directory, found);
  refuseUnmounted(directory);
  if (record === undefined) return undefined;
  for (const below of [[], ...layersIn(record.kind)]) checkLayer(directory, [LAYERS, ...below]);
  return { directory, ...record, layers: join(directory, LAYERS) };
}

function layersIn(kind: OverlayKind): string[][] {
  return kind === 'machine' ? [[UPPER], [WORK]] : [[MOUNTS]];
}

/**
 * The directory of an overlay, by a path without links, if it is there and nobody but root reaches it.
 * @throws {SandboxError} `overlay-directory-unsafe`, `overlay-parent-missing`
 */
export function safeDirectory(path: string): string | undefined {
  const directory = realPathOf(path);
  checkWay(path, directory);
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  checkOwn(directory, found);
  checkClosed(directory, found);
  return directory;
}

/**
 * Makes the directory, or what an interrupted attempt has not made of it.
 * @throws {SandboxError} as {@link checkOverlayDirectory}, `overlay-without-attributes`, `overlay-not-writable`
 */
export function makeOverlayDirectory(path: string, use: OverlayUse, topmost: Topmost): void {
  checkOverlayDirectory(path, use);
  const directory = realPathOf(path);
  try {
    const isNew = makeDirectory(directory);
    // In a directory like /tmp somebody else may have made it meanwhile; nobody else can put another one there now.
    const made = lstatSync(directory);
    checkOwn(directory, made);
    checkClosed(directory, made);
    if (readRecord(directory) !== undefined) {
      checkOverlayDirectory(path, use);
      return;
    }
    const layers = join(directory, LAYERS);
    const record = recordOf(use);
    checkAttributes(isBound(directory) ? layers : directory, record.kind, isNew);
    makeDirectory(layers);
    for (const below of layersIn(record.kind)) makeDirectory(join(layers, ...below));
    // Of a container's root, root-overlay makes it.
    if (record.kind === 'machine') makeTopmost(join(layers, UPPER), topmost);
    // The record is on another file system then, and must not be on the disk before what it tells of.
    if (isBound(directory)) flush(layers);
    writeRecord(directory, record);
    // Another start may have been first, with another root.
    checkOverlayDirectory(path, use);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw configError(
      'overlay-not-writable',
      `the directory ${quote(directory)} of an overlay cannot be made: ${messageOf(error)}`,
      isSystemError(error, 'ENOSPC') ? 'free some space there' : 'name a directory that root can write to',
      error,
    );
  }
}

function flush(path: string): void {
  const directory = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function makeTopmost(path: string, { mode, uid, gid }: Topmost): void {
  const upper = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    fchownSync(upper, uid, gid);
    fchmodSync(upper, mode);
  } finally {
    closeSync(upper);
  }
}

/** @returns whether it was not there */
function makeDirectory(path: string): boolean {
  try {
    // The mode is not changed by a umask that takes nothing from the owner.
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    return false;
  }
}

/** Without them overlayfs in the guest says only EINVAL. @param isNew it is removed again */
function checkAttributes(directory: string, kind: OverlayKind, isNew: boolean): void {
  let takes: boolean | undefined;
  try {
    takes = takesAttributes(directory, kind);
  } finally {
    if (isNew && takes !== true) valueOr(() => rmdirSync(directory), undefined);
  }
  if (takes) return;
  throw configError(
    'overlay-without-attributes',
    `the directory ${quote(directory)} cannot keep an overlay: its file system has no extended attributes (${attributesOf(kind)}.*)`,
    'name a directory on another one, such as ext4, XFS or Btrfs',
  );
}

/**
 * Whoever may rename a directory or change a link on the way could put another one in its place: one for the checks, and
 * one for what is served. The path as it was given counts, with its links.
 */
function checkWay(path: string, directory: string): void {
  const above = dirname(directory);
  if (lstatSync(above, { throwIfNoEntry: false }) === undefined)
    throw configError(
      'overlay-parent-missing',
      `the directory ${quote(directory)} of an overlay cannot be made: ${quote(above)} is not there`,
      `make it first: mkdir -p ${above}`,
    );
  const others = othersWhoMayReplace(normalizePath(path), 'entry');
  if (others !== undefined) throw unsafe(directory, `others than root may put another one in its place: ${others}`);
}

function checkOwn(directory: string, found: Stats): void {
  if (!found.isDirectory())
    throw configError('overlay-directory-unsafe', `${quote(directory)} is not a directory`, 'name a directory');
  if (found.uid !== 0) throw unsafe(directory, 'it does not belong to root');
}

function checkClosed(directory: string, found: Stats): void {
  if ((found.mode & 0o077) !== 0)
    throw configError(
      'overlay-directory-unsafe',
      `the directory ${quote(directory)} cannot keep an overlay: others than root may enter it, and a sandbox may make ` +
        'programs there that run as root',
      `close it: chmod 700 ${directory}`,
    );
}

function unsafe(directory: string, why: string): SandboxError {
  return configError(
    'overlay-directory-unsafe',
    `the directory ${quote(directory)} cannot keep an overlay: ${why}`,
    'choose one below directories that only root can write to, such as /var/lib',
  );
}

const OWN: ReadonlySet<string> = new Set([LAYERS, BOUND]);

/** A directory without a record may be new, or what an interrupted attempt has made. */
function checkUnused(directory: string): void {
  const other = readdirSync(directory).find((name) => !OWN.has(name) && !name.startsWith(NEW_RECORD));
  if (other === undefined) return;
  throw configError(
    'overlay-directory-foreign',
    `the directory ${quote(directory)} is not empty, and no overlay is in it: it has ${quote(other)}`,
    'name an empty directory, or one that is not there yet',
  );
}

/** A sandbox may have put anything below the layers, and its kernel anything in their place. */
function checkLayer(directory: string, below: readonly string[]): void {
  const found = lstatSync(join(directory, ...below), { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  throw configError(
    'overlay-directory-damaged',
    `the overlay in ${quote(directory)} is damaged: ${below.join('/')} is no directory`,
    `name another directory; what is left of the overlay is below ${quote(join(directory, LAYERS))}`,
  );
}

/** A root by a path that does not depend on links, or by what is in the image. */
export function rootOnRecord(root: Root): string {
  if (root.type === 'image') return `${IMAGE}${root.stored?.id}`;
  return valueOr(() => realpathSync(root.path), undefined) ?? normalizePath(root.path);
}
