/**
 * Finds and reads the image that a user names: by its name, by its id or the beginning of it, or by its directory. To
 * boot one, see open-image.ts.
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { fileProblem, readRegular } from '../../util/regular-files.js';
import { shellWord } from '../../util/shell-word.js';
import { absolutePath } from '../../util/working-directory.js';
import { isImageId, MANIFEST_NAME, type Manifest, MOST_MANIFEST } from '../manifest.js';
import { imageNamed, imageNames, isImageName } from './names.js';
import { defaultStoreDirectory, lackingFile } from './store.js';

/** Fewer digits than this are more likely a typing error than an id. */
const SHORTEST_ID = 4;

/** A reference to an image. */
export interface ImageRef {
  readonly directory: string;
  /** Its id if it is in the store. */
  readonly id: string | undefined;
  /** The user's word for it. */
  readonly called: string;
}

export function openError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'image', code, message, remedy, cause });
}

/** The ids of a store's images, sorted. */
export function imageIds(store: string): string[] {
  try {
    return readdirSync(store).filter(isImageId).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw openError(
      'store-unreadable',
      `the images in ${store} cannot be listed (${String(error)})`,
      'make it readable',
      error,
    );
  }
}

/** True if `text` is meant as a path, not as a name. */
export function isPath(text: string): boolean {
  return text.includes('/') || text === '.' || text === '..';
}

/**
 * Finds the image that `called` means: a path if it has a slash, else a name, else an id or its first digits, at least
 * four.
 *
 * @throws {SandboxError} `image-not-found`, `image-ambiguous`, `image-unreadable`, `store-unreadable`.
 */
export function imageRef(called: string, store = defaultStoreDirectory()): ImageRef {
  if (isPath(called)) {
    const directory = absolutePath(called);
    if (isDirectory(directory)) return { directory, id: undefined, called };
    throw openError('image-not-found', `there is no directory ${shellWord(called)}`, 'name the directory of an image');
  }
  const named = imageNamed(store, called);
  if (named !== undefined && isDirectory(join(store, named))) {
    return { directory: join(store, named), id: named, called };
  }
  const found =
    /^[0-9a-f]+$/.test(called) && called.length >= SHORTEST_ID
      ? imageIds(store).filter((id) => id.startsWith(called))
      : [];
  const [id, other] = found;
  if (id === undefined) throw notFound(called, store);
  if (other !== undefined) {
    throw openError(
      'image-ambiguous',
      `${found.length} images have an id that begins with ${called}`,
      'give more digits',
    );
  }
  return { directory: join(store, id), id, called };
}

/** @throws {SandboxError} `image-unreadable` */
function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const remedy = 'name a directory that this user may enter';
    throw openError('image-unreadable', `${path} cannot be read (${error.code})`, remedy, error);
  }
}

function notFound(called: string, store: string): SandboxError {
  const names = [...imageNames(store).values()].flat().sort();
  const others = names.length === 0 ? '' : `choose one of ${names.join(', ')}, or `;
  const create = `make it with virt-sandbox-bake create --name ${isImageName(called) ? called : 'NAME'}`;
  return openError(
    'image-not-found',
    `there is no image ${shellWord(called)} in ${store}`,
    `${others}${create}; a directory must have a slash in it`,
  );
}

/**
 * Reads the manifest of an image, and checks that its files exist with the right sizes.
 *
 * @throws {SandboxError} `image-unreadable`, `image-damaged`.
 */
export async function readImage(ref: ImageRef): Promise<Manifest> {
  const path = join(ref.directory, MANIFEST_NAME);
  const again = 'bake it again with virt-sandbox-bake create';
  let text: string;
  try {
    text = readRegular(path, MOST_MANIFEST);
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    if (isSystemError(error, 'ENOENT'))
      throw openError('image-damaged', `${ref.directory} is no boot image: it has no ${MANIFEST_NAME}`, again, error);
    if (!isSystemError(error)) throw openError('image-damaged', `${path} ${problem}`, again, error);
    throw openError('image-unreadable', `${path} ${problem}`, 'make it readable', error);
  }
  const { parseManifest } = await import('./manifest-schema.js');
  const manifest = parseManifest(text);
  if (manifest === undefined) {
    throw openError('image-damaged', `${path} is damaged, or of another version of this program`, again);
  }
  if (ref.id !== undefined && manifest.id !== ref.id)
    throw openError('image-damaged', `${path} is that of the image ${manifest.id}`, again);
  const lacking = lackingFile(ref.directory, manifest);
  if (lacking !== undefined) throw openError('image-damaged', lacking, again);
  return manifest;
}
