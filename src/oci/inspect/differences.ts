/** What differs between images of the store, and what an image's top layer changes. */
import { imageError, quoted } from '../../oci-names/errors.js';
import { ErofsError } from '../erofs/reader.js';
import { parseConfig } from '../image-config.js';
import type { Difference } from '../layers/compare-names.js';
import { differencesOf } from '../layers/erofs-differences.js';
import { topLayerChanges } from '../layers/top-layer.js';
import { storedLayer } from '../pull/stored-layer.js';
import { readDocument } from '../store/blobs.js';
import { manifestOfTag } from '../store/list.js';
import { type LeasedRoot, useRoot } from '../store/roots.js';
import { withSharedLock } from '../store/store-lock.js';
import type { StorePaths } from '../store/store-paths.js';
import type { Tag } from '../store/tags.js';

/**
 * What the file system of `after` has that `before` has not, and the other way round.
 * @throws {SandboxError} `root-missing`, `root-damaged`, `store-not-writable`, `aborted`
 */
export async function imageDifferences(
  paths: StorePaths,
  before: Tag,
  after: Tag,
  signal?: AbortSignal,
): Promise<Difference[]> {
  if (before.root === after.root) return [];
  const leased: LeasedRoot[] = [];
  try {
    for (const tag of [before, after]) leased.push(await rootOf(paths, tag, signal));
    const [old, now] = leased.map(({ root }) => root.path);
    return await differencesOf(old ?? '', now ?? '', signal);
  } catch (error) {
    if (!(error instanceof ErofsError)) throw error;
    throw imageError(
      'root-damaged',
      `the file system of ${quoted(before.name)} or of ${quoted(after.name)} cannot be read: ${error.message}`,
      'find out which with virt-sandbox-image verify',
      error,
    );
  } finally {
    for (const { release } of leased) release();
  }
}

async function rootOf(paths: StorePaths, tag: Tag, signal: AbortSignal | undefined): Promise<LeasedRoot> {
  const leased = await useRoot(paths, tag.root, signal);
  if (leased !== undefined) return leased;
  throw imageError('root-missing', `the file system of ${quoted(tag.name)} is missing`, 'pull the image again');
}

/**
 * What the top layer of an image changes of those below it.
 * @throws {SandboxError} `store-damaged`, `store-not-writable`, `aborted`, and those of layers
 */
export async function topChanges(paths: StorePaths, tag: Tag, signal?: AbortSignal): Promise<Difference[]> {
  const manifest = manifestOfTag(paths, tag);
  const config = parseConfig(readDocument(paths, tag.config), manifest, tag.name);
  const layers = manifest.layers.map((layer, at) => storedLayer(paths, layer, at, config, tag.name));
  return layers.length === 0 ? [] : withSharedLock(paths, signal, () => topLayerChanges(layers, signal));
}
