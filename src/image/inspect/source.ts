/** The initrd that a person means: that of an image, or any file. */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { shellWord } from '../../util/shell-word.js';
import { absolutePath } from '../../util/working-directory.js';
import { type FinalEntry, finalEntries, pathParts, readArchives } from '../archive/read.js';
import { type Archive, ArchiveError } from '../archive/types.js';
import { INITRD_NAME, type Manifest } from '../manifest.js';
import { type SnapshotRecord, snapshotsOf } from '../snapshot/snapshot.js';
import { imageRef, isPath, readImage } from '../store/open.js';
import { defaultStoreDirectory } from '../store/store.js';

/** An initrd that was read. */
export interface Initrd {
  readonly path: string;
  /** In bytes, as it is on the disk. */
  readonly size: number;
  readonly archives: readonly Archive[];
  /** Of the image that it belongs to; undefined for a file. */
  readonly manifest: Manifest | undefined;
  /** The machines that were saved with that image. */
  readonly warm: readonly SnapshotRecord[];
}

function sourceError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'image', code, message, remedy, cause });
}

/**
 * Reads the initrd of the image `called`, or the file of that path. A word without a slash is an image if there is such a one.
 *
 * @throws {SandboxError} `image-not-found`, `image-damaged`, `initrd-unreadable`, `initrd-damaged`.
 */
export async function readInitrd(called: string, store = defaultStoreDirectory()): Promise<Initrd> {
  // The name of an image needs no working directory.
  const stat = statSync(isPath(called) ? absolutePath(called) : called, { throwIfNoEntry: false });
  if (stat?.isFile() === true && (isPath(called) || !isImage(called, store))) {
    return { ...(await readInitrdFile(absolutePath(called))), manifest: undefined, warm: [] };
  }
  if (stat === undefined && isPath(called)) {
    const remedy = 'name an initrd, or the directory of an image';
    throw sourceError('image-not-found', `there is no file and no directory ${shellWord(called)}`, remedy);
  }
  const ref = imageRef(called, store);
  const manifest = await readImage(ref);
  const warm = snapshotsOf(ref.directory).map(({ record }) => record);
  return { ...(await readInitrdFile(join(ref.directory, INITRD_NAME))), manifest, warm };
}

function isImage(called: string, store: string): boolean {
  try {
    imageRef(called, store);
    return true;
  } catch (error) {
    if (error instanceof SandboxError) return false;
    throw error;
  }
}

/** @throws {SandboxError} `initrd-unreadable`, `initrd-damaged`. */
export async function readInitrdFile(path: string): Promise<Omit<Initrd, 'manifest' | 'warm'>> {
  let data: Buffer;
  try {
    data = readFileSync(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw sourceError('initrd-unreadable', `${path} cannot be read (${error.code})`, 'make it readable for you', error);
  }
  try {
    return { path, size: data.length, archives: await readArchives(data) };
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    throw sourceError('initrd-damaged', `${path} cannot be read as an initrd: ${error.message}`, 'make it anew', error);
  }
}

/** Symbolic links that are followed one after the other: as the kernel does. */
const MOST_LINKS = 40;

/**
 * The file `path` of an initrd, symbolic links followed, which lead nowhere but inside.
 *
 * @throws {SandboxError} `file-not-in-initrd`.
 */
export function fileIn(initrd: Initrd, path: string): FinalEntry {
  const entries = finalEntries(initrd.archives);
  const missing = (what: string) =>
    sourceError('file-not-in-initrd', what, `look for a file with virt-sandbox-bake ls`);
  const none = `${initrd.path} has no file ${shellWord(path)}`;
  let left = pathParts(path);
  let at: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const [part = '', ...rest] = left;
    left = rest;
    if (part === '..') {
      at = at.slice(0, -1);
      continue;
    }
    const entry = entries.get([...at, part].join('/'));
    if (entry?.type === 'symlink') {
      links += 1;
      if (links > MOST_LINKS) throw missing(none);
      const target = entry.content.toString('latin1');
      if (target.startsWith('/')) at = [];
      left = [...pathParts(target), ...rest];
    } else {
      at = [...at, part];
    }
  }
  const found = entries.get(at.join('/'));
  if (found?.type === 'file') return found;
  throw missing(found ? `${shellWord(path)} is a ${found.type.replace('-', ' ')} in ${initrd.path}` : none);
}
