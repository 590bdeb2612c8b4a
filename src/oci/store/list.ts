/** What the store has: for people, and for programs that list images. */
import { statSync } from 'node:fs';
import { imageError, quoted } from '../../oci-names/errors.js';
import { type Manifest, parseStoredManifest } from '../manifest.js';
import { readDocument } from './blobs.js';
import { findRoot, type StoredRoot, usersOf } from './roots.js';
import { withSharedLock } from './store-lock.js';
import type { StorePaths } from './store-paths.js';
import { findTag, listTags, type Tag, writeTag } from './tags.js';

export interface ListedImage {
  readonly tag: Tag;
  /** Undefined: it is missing, and is made again of the layers. */
  readonly root: StoredRoot | undefined;
  /** When a process took it last; undefined without a root. */
  readonly lastUsed: Date | undefined;
  /** Processes that have it in use. */
  readonly usedBy: readonly number[];
}

/** All images, by their names. */
export function listImages(paths: StorePaths): ListedImage[] {
  return listTags(paths).map((tag) => ({
    tag,
    root: findRoot(paths, tag.root),
    // A lease sets it.
    lastUsed: statSync(paths.root(tag.root), { throwIfNoEntry: false })?.mtime,
    usedBy: usersOf(paths, tag.root),
  }));
}

/**
 * Gives an image one more name. Whatever had the name loses it.
 * @param name as of an image in a registry: `docker://docker.io/library/mine:1`
 * @throws {SandboxError} `image-not-found`, `disk-full`, `store-not-writable`, `aborted`
 */
export async function tagImage(paths: StorePaths, tag: Tag, name: string, signal?: AbortSignal): Promise<Tag> {
  const { identity: _of, ...rest } = tag;
  const named: Tag = { ...rest, name, local: true };
  await withSharedLock(paths, signal, () => {
    // Somebody may have removed it since it was found.
    if (findTag(paths, tag.name, tag.platform)?.manifest === tag.manifest) return writeTag(paths, named);
    throw imageError(
      'image-not-found',
      `${quoted(tag.name)} does not mean ${tag.manifest} any more in ${paths.directory}`,
      'see what is there with virt-sandbox-image list',
    );
  });
  return named;
}

/** The manifest of an image. @throws {SandboxError} `store-damaged`, and those of {@link parseStoredManifest} */
export function manifestOfTag(paths: StorePaths, tag: Tag): Manifest {
  return parseStoredManifest(readDocument(paths, tag.manifest), tag.name);
}
