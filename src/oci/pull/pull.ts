/** Images from where they are to a file system in the store. */
import { SandboxError } from '../../util/errors.js';
import { chooseManifest, refuseOtherPlatform } from '../choose-manifest.js';
import { DigestCheck } from '../digest.js';
import { digestWrong, imageError, quoted, sizeWrong } from '../errors.js';
import { type ImageConfig, parseConfig } from '../image-config.js';
import { type Descriptor, parseStoredManifest } from '../manifest.js';
import { hostPlatform, type Platform, platformText } from '../platform.js';
import type { RegistryOptions } from '../registry/options.js';
import type { RootImage } from '../root-image.js';
import type { ImageSource } from '../source.js';
import { hasBlob, putDocument, readDocument } from '../store/blobs.js';
import { withLock } from '../store/lock.js';
import { Places, storeError } from '../store/places.js';
import { makeRoot, rootId, type StoredRoot, useRoot } from '../store/roots.js';
import { findTag, type Tag, writeTag } from '../store/tags.js';
import { fetchLayers, type LayerProgress, storedLayer } from './fetch-layers.js';
import { anywhere, identityOfSource, openSource, storeName } from './open-source.js';

/** When a registry is asked. */
export type PullPolicy = 'missing' | 'always' | 'never';

export interface PullOptions {
  readonly places?: Places | undefined;
  /** Default: that of this host. */
  readonly platform?: Platform | undefined;
  readonly registry?: RegistryOptions | undefined;
  readonly onProgress?: ((progress: LayerProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An image in the store. This process has a lease on its file system. */
export interface PulledImage {
  readonly tag: Tag;
  readonly config: ImageConfig;
  readonly root: StoredRoot;
}

/**
 * The image that a name means: from the store, or pulled now.
 * @throws {SandboxError} `image-not-pulled`, and those of {@link pullImage}
 */
export async function obtainImage(
  image: RootImage,
  policy: PullPolicy,
  options: PullOptions = {},
): Promise<PulledImage> {
  if (policy === 'always') return pullImage(image, options);
  const found = await findPulled(image, options).catch((error: unknown) => {
    const isDamaged = error instanceof SandboxError && error.code === 'store-damaged';
    if (policy === 'never' || !isDamaged) throw error;
    return undefined;
  });
  if (found !== undefined) return found;
  if (policy === 'missing') return pullImage(image, options);
  throw imageError(
    'image-not-pulled',
    `${quoted(storeName(image))} is not in the store for ${platformText(options.platform ?? hostPlatform())}`,
    'pull it, or let it be pulled with --pull missing',
  );
}

/**
 * The image that a name means in the store; undefined: none, or one of a file of this host that has changed since. Asks
 * nobody. A file system that is missing is made again of its layers.
 * @throws {SandboxError} `store-not-safe`, and those of {@link makeRoot}
 */
export async function findPulled(image: RootImage, options: PullOptions = {}): Promise<PulledImage | undefined> {
  const places = options.places ?? new Places();
  places.refuseUnsafe();
  const tag = findTag(places, storeName(image), platformText(options.platform ?? hostPlatform()));
  if (tag === undefined) return undefined;
  if (
    image.transport !== 'docker' &&
    (tag.identity === undefined || tag.identity !== identityOfSource(anywhere(image)))
  )
    return undefined;
  const manifest = parseStoredManifest(readDocument(places, tag.manifest), tag.name);
  const config = parseConfig(readDocument(places, tag.config), manifest, tag.name);
  const root = useRoot(places, tag.root);
  if (root !== undefined) return { tag, config, root };
  if (!manifest.layers.every((layer) => hasBlob(places, layer))) return undefined;
  const layers = async function* () {
    for (const [at, layer] of manifest.layers.entries()) yield storedLayer(places, layer, at, config, tag.name);
  };
  const { signal } = options;
  const again = await pulling(places, signal, () => makeRoot(places, { diffIds: config.diffIds, layers, signal }));
  return { tag, config, root: again };
}

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
  return pulling(places, signal, async () => {
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

/** Runs `work` while nobody removes anything. */
async function pulling<T>(places: Places, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await withLock(places.lock, 'shared', { signal }, work);
  } catch (error) {
    throw storeError(error, places.directory);
  }
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
  const root =
    useRoot(places, rootId(config.diffIds)) ?? (await makeRoot(places, { diffIds: config.diffIds, layers, signal }));
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
