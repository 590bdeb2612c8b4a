/** What the store has: for people, and for programs that list images. */
import { statSync } from 'node:fs';
import { imageError, quoted } from '../../oci-names/errors.js';
import { type Manifest, parseStoredManifest } from '../manifest.js';
import { readDocument } from './blobs.js';
import type { Places } from './places.js';
import { whilePulling } from './pulling.js';
import { findRoot, type StoredRoot, usersOf } from './roots.js';
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
export function listImages(places: Places): ListedImage[] {
  return listTags(places).map((tag) => ({
    tag,
    root: findRoot(places, tag.root),
    // A lease sets it.
    lastUsed: statSync(places.root(tag.root), { throwIfNoEntry: false })?.mtime,
    usedBy: usersOf(places, tag.root),
  }));
}

/**
 * Gives an image one more name. Whatever had the name loses it.
 * @param name as of an image in a registry: `docker://docker.io/library/mine:1`
 * @throws {SandboxError} `image-not-found`, `disk-full`, `store-not-writable`, `aborted`
 */
export async function tagImage(places: Places, tag: Tag, name: string, signal?: AbortSignal): Promise<Tag> {
  const { identity: _of, ...rest } = tag;
  const named: Tag = { ...rest, name, local: true };
  await whilePulling(places, signal, () => {
    // Somebody may have removed it since it was found.
    if (findTag(places, tag.name, tag.platform)?.manifest === tag.manifest) return writeTag(places, named);
    throw imageError(
      'image-not-found',
      `${quoted(tag.name)} does not mean ${tag.manifest} any more in ${places.directory}`,
      'see what is there with virt-sandbox-image list',
    );
  });
  return named;
}

/** The manifest of an image. @throws {SandboxError} `store-damaged`, and those of {@link parseStoredManifest} */
export function manifestOfTag(places: Places, tag: Tag): Manifest {
  return parseStoredManifest(readDocument(places, tag.manifest), tag.name);
}
