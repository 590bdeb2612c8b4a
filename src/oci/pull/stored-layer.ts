/** Layers that the store has. */
import type { ImageConfig } from '../image-config.js';
import type { StoredLayer } from '../layers/layer-stream.js';
import type { LayerDescriptor } from '../manifest.js';
import { removeIfDamaged, storedBlob } from '../store/blobs.js';
import type { StorePaths } from '../store/store-paths.js';

/** A layer of the store, as what merges layers wants it. One that turns out to be damaged is removed. */
export function storedLayer(
  paths: StorePaths,
  descriptor: LayerDescriptor,
  at: number,
  { diffIds }: ImageConfig,
  name: string,
): StoredLayer {
  const diffId = diffIds[at];
  if (diffId === undefined) throw new Error('a config has a digest for each layer');
  return {
    which: `layer ${at + 1} of ${name}`,
    compression: descriptor.compression,
    diffId,
    open: (signal) => storedBlob(paths, descriptor, signal),
    damage: (signal) => removeIfDamaged(paths, descriptor, signal),
  };
}
