/** Finds images in the store. A start does this each time, so nothing is loaded for it that only a pull needs. */

import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '../../oci-names/digest.js';
import { type Platform, platformText } from '../../oci-names/platform.js';
import { isLocalImage, type RootImage } from '../../oci-names/root-image.js';
import { type ImageConfig, parseConfig } from '../image-config.js';
import { type Manifest, parseStoredManifest } from '../manifest.js';
import { hasBlob, readDocument } from '../store/blobs.js';
import { type LeasedRoot, rootId, useRoot } from '../store/roots.js';
import { withSharedLock } from '../store/store-lock.js';
import { StorePaths } from '../store/store-paths.js';
import { findTag, listTags, type Tag, writeTag } from '../store/tags.js';
import { identityOfSource, storeName, wantedPlatform, withAbsolutePath } from './names.js';
import { ofDigest } from './of-digest.js';
import { storedLayer } from './stored-layer.js';
import type { PulledImage, PullOptions } from './types.js';

/**
 * The image that a name means in the store; undefined: none, or one of a file of this host that has changed since. Asks
 * nobody. A file system that is missing is made again of its layers.
 * @throws {SandboxError} `store-not-safe`, and those of makeRoot
 */
export async function findPulled(image: RootImage, options: PullOptions = {}): Promise<PulledImage | undefined> {
  const paths = options.paths ?? new StorePaths();
  paths.refuseUnsafe();
  const { manifest: meant, platform } = options;
  const tag = meant === undefined ? findStored(paths, image, platform) : findManifest(paths, image, meant, platform);
  if (tag === undefined || (meant === undefined && !isOfSource(tag, image))) return undefined;
  const manifest = parseStoredManifest(readDocument(paths, tag.manifest), tag.name);
  const config = parseConfig(readDocument(paths, tag.config), manifest, tag.name);
  const id = rootId(config.diffIds);
  const leased =
    (await useRoot(paths, id, options.signal)) ??
    (manifest.layers.every((layer) => hasBlob(paths, layer))
      ? await makeAgain(paths, { tag, config, manifest }, options)
      : undefined);
  if (leased === undefined) return undefined;
  try {
    return { tag: tag.root === id ? tag : await withRoot(paths, tag, id, options.signal), config, ...leased };
  } catch (error) {
    leased.release();
    throw error;
  }
}

/**
 * The tag with another root: a version of this package that makes roots otherwise calls them otherwise. Whoever lists or
 * removes images goes by what is written.
 */
async function withRoot(paths: StorePaths, tag: Tag, root: string, signal: AbortSignal | undefined): Promise<Tag> {
  const changed = { ...tag, root };
  await withSharedLock(paths, signal, async () => {
    const now = findTag(paths, tag.name, tag.platform);
    // It may have been pulled again meanwhile, or removed.
    if (now !== undefined && isDeepStrictEqual(now, tag)) await writeTag(paths, changed);
  });
  return changed;
}

/**
 * What a name means in the store; with a digest any name of that repository does which means that image.
 * @param platform default: {@link wantedPlatform}
 */
export function findStored(paths: StorePaths, image: RootImage, platform?: Platform): Tag | undefined {
  const text = platformText(wantedPlatform(image, platform));
  const exact = findTag(paths, storeName(image), text);
  if (exact !== undefined || image.transport !== 'docker' || image.reference.digest === undefined) return exact;
  const same = ofDigest(listTags(paths), image.reference).filter((tag) => tag.platform === text);
  return same.find(({ local }) => local !== true) ?? same[0];
}

/** Any name of the store that means the image with this manifest; that one itself, if it is among them. */
export function findManifest(paths: StorePaths, image: RootImage, manifest: Digest, platform?: Platform) {
  const text = platformText(wantedPlatform(image, platform));
  const name = storeName(image);
  const same = listTags(paths).filter((tag) => tag.manifest === manifest && tag.platform === text);
  return same.find((tag) => tag.name === name) ?? same.find(({ local }) => local !== true) ?? same[0];
}

/** As {@link findStored}, for any platform. */
export function storedForAny(paths: StorePaths, image: RootImage): readonly Tag[] {
  const tags = listTags(paths);
  if (image.transport === 'docker' && image.reference.digest !== undefined) return ofDigest(tags, image.reference);
  return tags.filter(({ name }) => name === storeName(image));
}

/** Whether the file that an image was read from is still as it was then. A name of another kind is pinned. */
export function isOfSource({ identity }: Tag, image: RootImage): boolean {
  return !isLocalImage(image) || (identity !== undefined && identity === identityOfSource(withAbsolutePath(image)));
}

async function makeAgain(
  paths: StorePaths,
  { tag, config, manifest }: { readonly tag: Tag; readonly config: ImageConfig; readonly manifest: Manifest },
  { signal, onProgress }: PullOptions,
): Promise<LeasedRoot> {
  const { makeRoot } = await import('../store/make-root.js');
  const layers = async function* () {
    for (const [at, layer] of manifest.layers.entries()) yield storedLayer(paths, layer, at, config, tag.name);
  };
  const root = await withSharedLock(paths, signal, () =>
    makeRoot(paths, { diffIds: config.diffIds, layers, signal, onProgress }),
  );
  onProgress?.({ phase: 'done' });
  return root;
}
