/** Images from where they are to a file system in the store. */
import { SandboxError } from '../../util/errors.js';
import { chooseManifest, refuseOtherPlatform } from '../choose-manifest.js';
import { DigestCheck } from '../digest.js';
import { digestWrong, sizeWrong } from '../errors.js';
import { parseConfig } from '../image-config.js';
import type { Descriptor } from '../manifest.js';
import { hostPlatform, type Platform, platformText } from '../platform.js';
import type { RootImage } from '../root-image.js';
import type { ImageSource } from '../source.js';
import { putDocument } from '../store/blobs.js';
import { makeRoot } from '../store/make-root.js';
import { Places } from '../store/places.js';
import { whilePulling } from '../store/pulling.js';
import { rootId, type StoredRoot, useRoot } from '../store/roots.js';
import { type Tag, writeTag } from '../store/tags.js';
import { fetchLayers } from './fetch-layers.js';
import { anywhere, identityOfSource, storeName } from './names.js';
import { openSource } from './open-source.js';
import type { PulledImage, PullOptions } from './types.js';

/**
 * Pulls an image: what the store has not got is fetched, and its layers are merged. From then on its name means it. What
 * fails leaves no image, and keeps whole layers and parts of them for the next attempt.
 * @throws {SandboxError} `image-not-found`, `platform-missing`, `manifest-invalid`, `digest-wrong`, `blob-truncated`,
 *   `layer-invalid`, `layer-too-large`, `erofs-missing`, `disk-full`, `store-not-safe`, `store-not-writable`,
 *   `aborted`, and the others of sources, documents, layers and the store
 */
export async function pullImage(image: RootImage, options: PullOptions = {}): Promise<PulledImage> {
  const { platform = hostPlatform(), registry = {}, signal, places = new Places() } = options;
  places.make();
  return whilePulling(places, signal, async () => {
    const there = anywhere(image);
    // Before it is read: a change meanwhile makes it too old, and never too new.
    const identity = identityOfSource(there);
    const source = await openSource(there, platform, registry, signal);
    try {
      return await pullFrom(places, source, { image, platform, identity }, options);
    } finally {
      await source.close();
    }
  });
}

async function pullFrom(
  places: Places,
  source: ImageSource,
  { image, platform, identity }: { image: RootImage; platform: Platform; identity: string | undefined },
  { signal, onProgress }: PullOptions,
): Promise<PulledImage> {
  const { manifest, document, top } = await chooseManifest(source, platform, signal);
  const configBytes = await readConfig(source, manifest.config, signal);
  const config = parseConfig(configBytes, manifest, source.name);
  refuseOtherPlatform(config, platform, source.name);
  const layers = () => fetchLayers(places, source, { manifest, config }, { signal, onProgress });
  const make = () => makeRoot(places, { diffIds: config.diffIds, layers, signal });
  const root = useRoot(places, rootId(config.diffIds)) ?? (await untilWhole(make, manifest.layers.length));
  await putDocument(places, { bytes: configBytes, digest: manifest.config.digest, mediaType: undefined });
  for (const one of [top, document]) await putDocument(places, one);
  const tag: Tag = {
    format: 1,
    name: storeName(image),
    platform: platformText(platform),
    top: top.digest,
    manifest: document.digest,
    config: manifest.config.digest,
    root: root.id,
    size: manifest.layers.reduce((sum, { size }) => sum + size, 0),
    ...(identity === undefined ? {} : { identity }),
    pulled: new Date().toISOString(),
  };
  await writeTag(places, tag);
  return { tag, config, root };
}

/**
 * Makes a root. Whenever a layer that was in the store is damaged it is gone then, and is fetched.
 * @param layers how many there are, and may be damaged
 */
async function untilWhole(make: () => Promise<StoredRoot>, layers: number): Promise<StoredRoot> {
  for (let damages = 0; ; damages += 1) {
    try {
      return await make();
    } catch (error) {
      if (!(error instanceof SandboxError) || error.code !== 'store-damaged' || damages >= layers) throw error;
    }
  }
}

/** @throws {SandboxError} `blob-size-wrong`, `digest-wrong`, and those of the source */
async function readConfig(source: ImageSource, config: Descriptor, signal: AbortSignal | undefined): Promise<Buffer> {
  const what = `the config of ${source.name}`;
  const check = new DigestCheck(config.digest);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of source.blob(config, 0, signal)) {
    length += piece.length;
    if (length > config.size) break;
    check.update(piece);
    pieces.push(piece);
  }
  if (length !== config.size) throw sizeWrong(what, config.size, length > config.size ? 'more came' : `${length} came`);
  const { matches, actual } = check.finish();
  if (!matches) throw digestWrong(what, config.digest, actual);
  return Buffer.concat(pieces);
}
