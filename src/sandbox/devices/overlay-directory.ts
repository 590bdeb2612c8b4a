/**
 * The directory that keeps an overlay:
 *
 *   overlay.json     the root that it belongs to
 *   layers/          the share, where the guest writes what it likes
 *   layers/upper/    what differs from the root, as overlayfs keeps it
 *   layers/work/     overlayfs's own
 *
 * What a guest has written is hostile: programs with set-user-ID bits, links to anywhere. So nobody but root reaches the
 * directory, and nothing below `layers` is opened here by a path that may have a link in it.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { normalizePath } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import { isSystemError, messageOf, type SandboxError, valueOr } from '../../util/errors.js';
import { forCaller, option } from '../../util/option-names.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { isRecord, parseJson } from '../../util/records.js';
import { readPlainFile } from '../../util/small-files.js';
import { takesAttributes } from './overlay-attributes.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL } = constants;

const LAYERS = 'layers';
/** The layer with what differs from the root, in the share. */
export const UPPER = 'upper';
const WORK = 'work';
const RECORD = 'overlay.json';
/** How the names of records begin while they are written. */
const NEW_RECORD = 'overlay.json.new';
/** More than a path has. */
const RECORD_BYTES = 16_384;
const VERSION = 1;

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
 * Checks the directory of an overlay, if it is there, and that it belongs to that root.
 * @throws {SandboxError} `overlay-of-other-root`, and what {@link keptOverlay} throws
 */
export function checkOverlayDirectory(path: string, { root }: Pick<SandboxConfig, 'root'>): void {
  const kept = keptOverlay(path);
  const real = rootOf(root);
  if (kept === undefined || kept.root === real) return;
  throw configError(
    'overlay-of-other-root',
    `the overlay in ${quote(kept.directory)} belongs to the root ${quote(kept.root)}, and not to ${quote(real)}`,
    `use ${option('root', kept.root)} or another directory; if that root has moved, change its path in ${RECORD} there`,
  );
}

/** An overlay that a directory keeps. */
export interface KeptOverlay {
  /** Without links in it. */
  readonly directory: string;
  /** The root that it belongs to. */
  readonly root: string;
  /** The share, where the guest writes: what differs from that root is in the directory {@link UPPER} there. */
  readonly layers: string;
}

/**
 * The overlay in a directory, checked with those above it. Undefined: there is none yet.
 * @throws {SandboxError} `overlay-directory-unsafe`, `overlay-parent-missing`, `overlay-directory-foreign`,
 *   `overlay-directory-damaged`
 */
export function keptOverlay(path: string): KeptOverlay | undefined {
  const directory = realPathOf(path);
  checkWay(path, directory);
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  checkOwn(directory, found);
  const root = readRecord(directory);
  if (root === undefined) checkUnused(directory);
  checkClosed(directory, found);
  if (root === undefined) return undefined;
  for (const below of [[], [UPPER], [WORK]]) checkLayer(directory, [LAYERS, ...below]);
  return { directory, root, layers: join(directory, LAYERS) };
}

/**
 * Makes the directory, or what an interrupted attempt has not made of it.
 * @throws {SandboxError} as {@link checkOverlayDirectory}, `overlay-without-attributes`, `overlay-not-writable`
 */
export function makeOverlayDirectory(path: string, config: Pick<SandboxConfig, 'root'>, topmost: Topmost): void {
  checkOverlayDirectory(path, config);
  const directory = realPathOf(path);
  try {
    const isNew = makeDirectory(directory);
    // In a directory like /tmp somebody else may have made it meanwhile; nobody else can put another one there now.
    const made = lstatSync(directory);
    checkOwn(directory, made);
    checkClosed(directory, made);
    if (readRecord(directory) !== undefined) return;
    checkAttributes(directory, isNew);
    const layers = join(directory, LAYERS);
    makeDirectory(layers);
    makeDirectory(join(layers, WORK));
    makeDirectory(join(layers, UPPER));
    const upper = openSync(join(layers, UPPER), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      fchownSync(upper, topmost.uid, topmost.gid);
      fchmodSync(upper, topmost.mode);
    } finally {
      closeSync(upper);
    }
    writeRecord(directory, rootOf(config.root));
    // Another start may have been first, with another root.
    checkOverlayDirectory(path, config);
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
function checkAttributes(directory: string, isNew: boolean): void {
  if (takesAttributes(directory)) return;
  if (isNew) rmdirSync(directory);
  throw configError(
    'overlay-without-attributes',
    `the directory ${quote(directory)} cannot keep an overlay: its file system has no extended attributes (user.*)`,
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

/** A directory without a record may be new, or what an interrupted attempt has made. */
function checkUnused(directory: string): void {
  const other = readdirSync(directory).find((name) => name !== LAYERS && !name.startsWith(NEW_RECORD));
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

/** A root by a path that does not depend on links. */
function rootOf(root: string): string {
  return valueOr(() => realpathSync(root), undefined) ?? normalizePath(root);
}

/** The root that the overlay belongs to; undefined: there is no overlay yet. */
function readRecord(directory: string): string | undefined {
  let text: string;
  try {
    text = readPlainFile(join(directory, RECORD), { most: RECORD_BYTES, uid: 0 });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw damagedRecord(directory, messageOf(error), error);
  }
  const record = parseJson(text);
  if (!isRecord(record) || record['version'] !== VERSION || typeof record['root'] !== 'string')
    throw damagedRecord(directory, `it does not have the form {"version":${VERSION},"root":PATH}`);
  return record['root'];
}

function damagedRecord(directory: string, why: string, cause?: unknown): SandboxError {
  return configError(
    'overlay-directory-damaged',
    `${quote(join(directory, RECORD))} does not say which root the overlay belongs to: ${why}`,
    forCaller({ commandLine: 'write it anew, or name another directory', program: 'name another directory' }),
    cause,
  );
}

/** It is there as a whole or not at all, and stays as the first one of those who start at once has written it. */
function writeRecord(directory: string, root: string): void {
  const fresh = join(directory, `${NEW_RECORD}.${randomUUID()}`);
  const fd = openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, `${JSON.stringify({ version: VERSION, root })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    linkSync(fresh, join(directory, RECORD));
  } catch (error) {
    // ENOENT: the other one has removed it.
    if (!isSystemError(error, 'EEXIST') && !isSystemError(error, 'ENOENT')) throw error;
  }
  // Those too that killed attempts have left.
  for (const name of readdirSync(directory))
    if (name.startsWith(NEW_RECORD)) rmSync(join(directory, name), { force: true });
}
