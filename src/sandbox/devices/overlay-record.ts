/**
 * `overlay.json` in the directory that keeps an overlay: what the overlay belongs to.
 *
 * A machine's kernel keeps its layers through virtiofs, under other names of attributes than the host's kernel does for a
 * container, and has one upper layer where a container has one for each mount. So neither can use the other's.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, constants, fsyncSync, linkSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { isSystemError, messageOf, type SandboxError, withPath } from '../../util/errors.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';
import { isRecord, parseJson } from '../../util/records.js';
import { replaceFile } from '../../util/replace-file.js';
import { readPlainFile } from '../../util/small-files.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export const RECORD = 'overlay.json';
/** How the names of records begin while they are written. */
export const NEW_RECORD = 'overlay.json.new';
/** More than a path has. */
const RECORD_BYTES = 16_384;
const VERSION = 1;
/** How the root of an image is on record, with the id of its file system behind. */
export const IMAGE = 'image:';

/** What sandboxes an overlay is for. */
export const OVERLAY_KINDS = ['machine', 'container', 'privileged-container'] as const;
export type OverlayKind = (typeof OVERLAY_KINDS)[number];

export interface OverlayRecord {
  /** The root that it is over, by a path that does not depend on links, or by the id of an image's file system. */
  readonly root: string;
  readonly kind: OverlayKind;
}

/**
 * The record of an overlay; undefined: there is no overlay yet.
 * @throws {SandboxError} `overlay-directory-damaged`
 */
export function readRecord(directory: string): OverlayRecord | undefined {
  let text: string;
  try {
    text = readPlainFile(join(directory, RECORD), { most: RECORD_BYTES, uid: 0 });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw damaged(directory, messageOf(error), error);
  }
  const record = parseJson(text);
  const kind = isRecord(record) ? OVERLAY_KINDS.find((known) => known === (record['kind'] ?? 'machine')) : undefined;
  if (!isRecord(record) || record['version'] !== VERSION || typeof record['root'] !== 'string' || kind === undefined)
    throw damaged(directory, `it does not have the form {"version":${VERSION},"root":PATH,"kind":KIND}`);
  return { root: record['root'], kind };
}

function damaged(directory: string, why: string, cause?: unknown): SandboxError {
  return configError(
    'overlay-directory-damaged',
    `${quote(join(directory, RECORD))} does not say which root the overlay belongs to: ${why}`,
    forCaller({ commandLine: 'write it anew, or name another directory', program: 'name another directory' }),
    cause,
  );
}

/** It is there as a whole or not at all, and stays as the first one of those who start at once has written it. */
export function writeRecord(directory: string, { root, kind }: OverlayRecord): void {
  const fresh = join(directory, `${NEW_RECORD}.${randomUUID()}`);
  const fd = openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, `${JSON.stringify({ version: VERSION, root, kind })}\n`);
    fsyncSync(fd);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw withPath(error, fresh);
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

/** Lets an overlay belong to another root. Nothing uses it meanwhile. @throws the error of a system call */
export async function moveRecord(directory: string, { root, kind }: OverlayRecord): Promise<void> {
  const text = `${JSON.stringify({ version: VERSION, root, kind })}\n`;
  await replaceFile(join(directory, RECORD), text, { mode: 0o600, flush: true, isOnlyWriter: true });
}

/**
 * Refuses an overlay of another root, or of sandboxes of another kind.
 * @throws {SandboxError} `overlay-of-other-kind`, `overlay-of-other-root`
 */
export function checkRecord(directory: string, found: OverlayRecord, wanted: OverlayRecord): void {
  if (found.kind !== wanted.kind) throw otherKind(directory, found.kind, wanted.kind);
  if (found.root === wanted.root) return;
  throw configError(
    'overlay-of-other-root',
    `the overlay in ${quote(directory)} belongs to the root ${quote(found.root)}, and not to ${quote(wanted.root)}`,
    remedyOfRoot(found.root),
  );
}

/** A name may mean another image by now: what counts is the file system, by its id. */
function remedyOfRoot(root: string): string {
  if (root.startsWith(IMAGE))
    return `use another directory, or the image with that file system (${forCaller({
      commandLine: 'virt-sandbox-image list --json',
      program: 'its digest behind an @',
    })})`;
  return `use ${option('root', root)} or another directory; if that root has moved, change its path in ${RECORD} there`;
}

function otherKind(directory: string, found: OverlayKind, wanted: OverlayKind): SandboxError {
  const privileged = shortOption('privileged');
  const names: Readonly<Record<OverlayKind, string>> = {
    machine: 'a machine',
    container: `a container without ${privileged}`,
    'privileged-container': `a container with ${privileged}`,
  };
  const remedies: Readonly<Record<OverlayKind, string>> = {
    machine: `run a machine (${shortOption('connect', 'qemu:///embed')})`,
    container: `run a container (${shortOption('connect', 'lxc:///')}) without ${privileged}`,
    'privileged-container': `run a container (${shortOption('connect', 'lxc:///')}) with ${privileged}`,
  };
  return configError(
    'overlay-of-other-kind',
    `the overlay in ${quote(directory)} is that of ${names[found]}, and not of ${names[wanted]}: ${reasonOf(found, wanted)}`,
    `name another directory, or ${remedies[found]}`,
  );
}

function reasonOf(found: OverlayKind, wanted: OverlayKind): string {
  if (found === 'machine' || wanted === 'machine') return 'their kernels keep it in different forms';
  return wanted === 'container'
    ? 'it may have files of this host that only root may read'
    : 'its programs would be root of this host';
}
