/** The first pass over an image: which entry of which layer has which names at last. */
import { TarReader } from '../tar/reader.js';
import { EntryError, layerError, shownName } from './errors.js';
import { layerProblem, layerStream, type StoredLayer, type UnpackedBytes } from './layer-stream.js';
import { Merge } from './merge.js';

/**
 * Reads layers, the lowest first, checks their digests, and merges them. Only names and attributes are kept.
 * @throws {SandboxError} `layer-invalid`, `layer-too-large`, `digest-wrong`, `zstd-missing`, `aborted`; that of
 *   {@link StoredLayer.damage}
 */
export async function indexLayers(
  layers: AsyncIterable<StoredLayer> | Iterable<StoredLayer>,
  signal?: AbortSignal,
): Promise<Merge> {
  const merge = new Merge();
  const unpacked: UnpackedBytes = { count: 0 };
  for await (const layer of layers) {
    merge.beginLayer(layer.which);
    const reader = new TarReader(layerStream(layer, unpacked, { pass: 1, signal }));
    try {
      for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
        try {
          merge.apply(entry);
        } catch (error) {
          if (!(error instanceof EntryError)) throw error;
          throw layerError(layer.which, `has the entry ${shownName(entry.name)}, which ${error.message}`, error);
        }
      }
    } catch (error) {
      throw await layerProblem(error, layer, signal);
    } finally {
      await reader.close();
    }
  }
  return merge;
}
