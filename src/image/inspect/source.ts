/** Reads the initrd that a user names: that of an image, or any file. */

import { constants, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { shellWord } from '../../util/shell-word.js';
import { absolutePath } from '../../util/working-directory.js';
import { type FinalEntry, finalEntries, pathParts, readArchives } from '../archive/read.js';
import { type Archive, ArchiveError } from '../archive/types.js';
import { INITRD_NAME, type Manifest } from '../manifest.js';
import { type SnapshotRecord, snapshotsOf } from '../snapshot/record.js';
import { imageRef, isPath, readImage } from '../store/open.js';
import { defaultStoreDirectory } from '../store/store.js';

/** An initrd and its content. */
export interface Initrd {
  readonly path: string;
  /** Size of the file in bytes. */
  readonly size: number;
  readonly archives: readonly Archive[];
  /** Manifest of its image; undefined for a file outside an image. */
  readonly manifest: Manifest | undefined;
  /** Records of its image's snapshots. */
  readonly snapshots: readonly SnapshotRecord[];
}

function sourceError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'image', code, message, remedy, cause });
}

/**
 * Reads the initrd of the image `called`, or the file with that path. A word without a slash means an image if one has
 * that name.
 *
 * @throws {SandboxError} `image-not-found`, `image-damaged`, `initrd-unreadable`, `initrd-damaged`.
 */
export async function readInitrd(called: string, store = defaultStoreDirectory()): Promise<Initrd> {
  // Resolve only paths: the name of an image needs no working directory.
  const stat = statSync(isPath(called) ? absolutePath(called) : called, { throwIfNoEntry: false });
  if (stat?.isFile() === true && (isPath(called) || !isImage(called, store))) {
    return { ...(await readInitrdFile(absolutePath(called))), manifest: undefined, snapshots: [] };
  }
  if (stat === undefined && isPath(called)) {
    const remedy = 'name an initrd, or the directory of an image';
    throw sourceError('image-not-found', `there is no file and no directory ${shellWord(called)}`, remedy);
  }
  const ref = imageRef(called, store);
  const manifest = await readImage(ref);
  const snapshots = snapshotsOf(ref.directory).map(({ record }) => record);
  return { ...(await readImageInitrd(ref.directory)), manifest, snapshots };
}

/**
 * Reads the initrd of the image in a directory, which is no link.
 *
 * @throws {SandboxError} `initrd-unreadable`, `initrd-damaged`
 */
export async function readImageInitrd(directory: string): Promise<Omit<Initrd, 'manifest' | 'snapshots'>> {
  return readInitrdFile(join(directory, INITRD_NAME), constants.O_NOFOLLOW | constants.O_NONBLOCK);
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
async function readInitrdFile(path: string, flags = 0): Promise<Omit<Initrd, 'manifest' | 'snapshots'>> {
  let data: Buffer;
  try {
    data = await readFile(path, { flag: constants.O_RDONLY | flags });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw sourceError('initrd-unreadable', `${path} cannot be read (${error.code})`, 'make it readable for you', error);
  }
  try {
    return { path, size: data.length, archives: await readArchives(data) };
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    throw sourceError(
      'initrd-damaged',
      `${path} cannot be read as an initrd: ${error.message}`,
      'build it again',
      error,
    );
  }
}

/** Limit of symbolic links on a path, as the kernel has it. */
const MOST_LINKS = 40;

/**
 * The file `path` of an initrd. Symbolic links are followed within the initrd.
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
