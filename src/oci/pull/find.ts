/** Finds images in the store. A start does this each time, so nothing is loaded for it that only a pull needs. */

import { type Platform, platformText } from '../../oci-names/platform.js';
import { isLocalImage, type RootImage } from '../../oci-names/root-image.js';
import { type ImageConfig, parseConfig } from '../image-config.js';
import { type Manifest, parseStoredManifest } from '../manifest.js';
import { hasBlob, readDocument } from '../store/blobs.js';
import { Places } from '../store/places.js';
import { whilePulling } from '../store/pulling.js';
import { type LeasedRoot, useRoot } from '../store/roots.js';
import { findTag, listTags, type Tag } from '../store/tags.js';
import { anywhere, identityOfSource, storeName, wantedPlatform } from './names.js';
import { ofDigest } from './of-digest.js';
import { storedLayer } from './stored-layer.js';
import type { PulledImage, PullOptions } from './types.js';

/**
 * The image that a name means in the store; undefined: none, or one of a file of this host that has changed since. Asks
 * nobody. A file system that is missing is made again of its layers.
 * @throws {SandboxError} `store-not-safe`, and those of makeRoot
 */
export async function findPulled(image: RootImage, options: PullOptions = {}): Promise<PulledImage | undefined> {
  const places = options.places ?? new Places();
  places.refuseUnsafe();
  const tag = findStored(places, image, options.platform);
  if (tag === undefined || !isOfSource(tag, image)) return undefined;
  const manifest = parseStoredManifest(readDocument(places, tag.manifest), tag.name);
  const config = parseConfig(readDocument(places, tag.config), manifest, tag.name);
  const leased = await useRoot(places, tag.root, options.signal);
  if (leased !== undefined) return { tag, config, ...leased };
  if (!manifest.layers.every((layer) => hasBlob(places, layer))) return undefined;
  return { tag, config, ...(await makeAgain(places, { tag, config, manifest }, options)) };
}

/**
 * What a name means in the store; with a digest any name of that repository does which means that image.
 * @param platform default: {@link wantedPlatform}
 */
export function findStored(places: Places, image: RootImage, platform?: Platform): Tag | undefined {
  const text = platformText(wantedPlatform(image, platform));
  const exact = findTag(places, storeName(image), text);
  if (exact !== undefined || image.transport !== 'docker' || image.reference.digest === undefined) return exact;
  const same = ofDigest(listTags(places), image.reference).filter((tag) => tag.platform === text);
  return same.find(({ local }) => local !== true) ?? same[0];
}

/** As {@link findStored}, for any platform. */
export function storedForAny(places: Places, image: RootImage): readonly Tag[] {
  const tags = listTags(places);
  if (image.transport === 'docker' && image.reference.digest !== undefined) return ofDigest(tags, image.reference);
  return tags.filter(({ name }) => name === storeName(image));
}

/** Whether the file that an image was read from is still as it was then. A name of another kind is pinned. */
export function isOfSource({ identity }: Tag, image: RootImage): boolean {
  return !isLocalImage(image) || (identity !== undefined && identity === identityOfSource(anywhere(image)));
}

async function makeAgain(
  places: Places,
  { tag, config, manifest }: { readonly tag: Tag; readonly config: ImageConfig; readonly manifest: Manifest },
  { signal, onProgress }: PullOptions,
): Promise<LeasedRoot> {
  const { makeRoot } = await import('../store/make-root.js');
  const layers = async function* () {
    for (const [at, layer] of manifest.layers.entries()) yield storedLayer(places, layer, at, config, tag.name);
  };
  const root = await whilePulling(places, signal, () =>
    makeRoot(places, { diffIds: config.diffIds, layers, signal, onProgress }),
  );
  onProgress?.({ phase: 'done' });
  return root;
}
