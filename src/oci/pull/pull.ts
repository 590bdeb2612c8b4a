/** Images from where they are to a file system in the store. */

import { type Digest, DigestCheck } from '../../oci-names/digest.js';
import { digestWrong, sizeWrong } from '../../oci-names/errors.js';
import { type Platform, platformText } from '../../oci-names/platform.js';
import type { RootImage } from '../../oci-names/root-image.js';
import { SandboxError } from '../../util/errors.js';
import { chooseManifest, refuseOtherPlatform } from '../choose-manifest.js';
import { parseConfig } from '../image-config.js';
import type { Descriptor, Manifest } from '../manifest.js';
import { refuseWithoutRoom } from '../room.js';
import type { ImageSource } from '../source.js';
import { hasBlob, missingBytes, putDocument } from '../store/blobs.js';
import { makeRoot } from '../store/make-root.js';
import { dropBlobs } from '../store/remove.js';
import { type LeasedRoot, rootId, useRoot } from '../store/roots.js';
import { withSharedLock } from '../store/store-lock.js';
import { StorePaths } from '../store/store-paths.js';
import { type Tag, writeTag } from '../store/tags.js';
import { fetchLayers } from './fetch-layers.js';
import { identityOfSource, storeName, wantedPlatform, withAbsolutePath } from './names.js';
import { withSource } from './open-source.js';
import type { PulledImage, PullOptions } from './types.js';

/** An image that is refused for what it is: another attempt would fetch the same. */
const REFUSALS: ReadonlySet<string> = new Set(['layer-invalid', 'layer-too-large', 'config-invalid', 'digest-wrong']);

/**
 * Pulls an image: what the store has not got is fetched, and its layers are merged. From then on its name means it. What
 * fails leaves no image, and keeps whole layers and parts of them for the next attempt; what is refused leaves nothing,
 * and neither does what virt-builder has made.
 * @throws {SandboxError} `image-not-found`, `platform-missing`, `manifest-invalid`, `digest-wrong`, `blob-truncated`,
 *   `layer-invalid`, `layer-too-large`, `disk-full`, `store-not-safe`, `store-not-writable`,
 *   `aborted`, and the others of sources, documents, layers and the store
 */
export async function pullImage(image: RootImage, options: PullOptions = {}): Promise<PulledImage> {
  const { signal, paths = new StorePaths(), onProgress } = options;
  const platform = wantedPlatform(image, options.platform);
  paths.make();
  const fetched = new Set<Digest>();
  const locked = (work: () => Promise<PulledImage>) => withSharedLock(paths, signal, work);
  const take = (source: ImageSource, identity: string | undefined) =>
    pullFrom(paths, source, { image, platform, identity, fetched }, options);
  const pull = async (use: typeof take) => {
    onProgress?.({ phase: 'asking' });
    const there = withAbsolutePath(image);
    // Before it is read: a change meanwhile makes it too old, and never too new.
    const identity = identityOfSource(there);
    return withSource(there, paths, platform, options, (source) => use(source, identity));
  };
  try {
    // virt-builder takes minutes, and needs nothing of the store but a workspace, which nobody removes meanwhile.
    if (image.transport === 'virt-builder') return await pull((...made) => locked(() => take(...made)));
    return await locked(() => pull(take));
  } catch (error) {
    const isRefused = error instanceof SandboxError && REFUSALS.has(error.code);
    // What virt-builder makes has other bytes each time.
    const isUseless = isRefused || image.transport === 'virt-builder';
    if (isUseless && fetched.size > 0) await dropBlobs(paths, fetched);
    throw error;
  }
}

interface Pull {
  readonly image: RootImage;
  readonly platform: Platform;
  readonly identity: string | undefined;
  /** Gets the digests of the layers that are fetched. */
  readonly fetched: Set<Digest>;
}

async function pullFrom(
  paths: StorePaths,
  source: ImageSource,
  { image, platform, identity, fetched }: Pull,
  { signal, onProgress, storedAs = storeName(image) }: PullOptions,
): Promise<PulledImage> {
  const { manifest, document, top } = await chooseManifest(source, platform, signal);
  const configBytes = await readConfig(source, manifest.config, signal);
  const config = parseConfig(configBytes, manifest, source.name);
  refuseOtherPlatform(config, platform, source.name);
  const layers = () => fetchLayers(paths, source, { manifest, config }, { signal, onProgress, fetched });
  const make = async () => {
    await refuseWithoutRoom(paths.directory, missingBytes(paths, manifest.layers));
    return makeRoot(paths, { diffIds: config.diffIds, layers, signal, onProgress });
  };
  const found = await useRoot(paths, rootId(config.diffIds), signal);
  const leased = found ?? (await untilWhole(make, manifest.layers.length));
  try {
    if (found !== undefined) await fetchMissing(paths, manifest, layers);
    await putDocument(paths, { bytes: configBytes, digest: manifest.config.digest, mediaType: undefined });
    for (const one of [top, document]) await putDocument(paths, one);
    const tag: Tag = {
      format: 1,
      name: storedAs,
      platform: platformText(platform),
      top: top.digest,
      manifest: document.digest,
      config: manifest.config.digest,
      root: leased.root.id,
      size: manifest.layers.reduce((sum, { size }) => sum + size, 0),
      ...(identity === undefined ? {} : { identity }),
      pulled: new Date().toISOString(),
    };
    await writeTag(paths, tag);
    onProgress?.({ phase: 'done' });
    return { tag, config, ...leased };
  } catch (error) {
    leased.release();
    throw error;
  }
}

/**
 * Fetches layers of an image whose file system is there: one was damaged and removed, or the file system is of layers
 * that were packed otherwise. It could not be made again without them.
 */
async function fetchMissing(
  paths: StorePaths,
  { layers: wanted }: Manifest,
  layers: () => AsyncIterable<unknown>,
): Promise<void> {
  if (wanted.every((layer) => hasBlob(paths, layer))) return;
  await refuseWithoutRoom(paths.directory, missingBytes(paths, wanted));
  for await (const _layer of layers());
}

/**
 * Makes a root. Whenever a layer that was in the store is damaged it is gone then, and is fetched.
 * @param layers how many there are, and may be damaged
 */
async function untilWhole(make: () => Promise<LeasedRoot>, layers: number): Promise<LeasedRoot> {
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
