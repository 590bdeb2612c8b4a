/** Fetches the layers of an image: several at once, and each is handed on as soon as it and all below it are there. */
import type { Digest } from '../../oci-names/digest.js';
import type { ImageConfig } from '../image-config.js';
import type { StoredLayer } from '../layers/layer-stream.js';
import type { Manifest } from '../manifest.js';
import type { OnPullProgress } from '../progress.js';
import type { ImageSource } from '../source.js';
import { fetchBlob, hasBlob } from '../store/blobs.js';
import type { StorePaths } from '../store/store-paths.js';
import { storedLayer } from './stored-layer.js';

/** Layers that are fetched at the same time. */
const AT_ONCE = 3;

export interface FetchLayersOptions {
  /** Gets the digests of layers that the store has not got yet. */
  readonly fetched?: Set<Digest> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnPullProgress | undefined;
}

/**
 * Fetches all layers that the store has not got. When one fails, the others are cancelled; what is there of them is
 * kept. Errors: those of {@link fetchBlob}.
 */
export async function* fetchLayers(
  paths: StorePaths,
  source: ImageSource,
  { manifest, config }: { readonly manifest: Manifest; readonly config: ImageConfig },
  { signal, onProgress, fetched }: FetchLayersOptions,
): AsyncGenerator<StoredLayer> {
  const { layers } = manifest;
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const jobs = inOrder(layers, async (descriptor, layer) => {
    const { size } = descriptor;
    const onBytes = (bytes: number) => onProgress?.({ phase: 'fetching', layer, layers: layers.length, bytes, size });
    if (!hasBlob(paths, descriptor)) fetched?.add(descriptor.digest);
    await fetchBlob(paths, source, descriptor, { signal: both, onBytes });
  });
  try {
    for (const [at, descriptor] of layers.entries()) {
      await Promise.race([jobs.done[at], jobs.failure]);
      yield storedLayer(paths, descriptor, at, config, source.name);
    }
  } finally {
    over.abort();
    await Promise.allSettled(jobs.done);
  }
}

/** Starts work on items in their order, some at a time. `failure` never resolves. */
function inOrder<T>(
  items: readonly T[],
  work: (item: T, at: number) => Promise<void>,
): { readonly done: readonly Promise<void>[]; readonly failure: Promise<never> } {
  const done: Promise<void>[] = [];
  for (const [at, item] of items.entries()) {
    // Each waits for the one that many places before it.
    const before = done[at - AT_ONCE] ?? Promise.resolve();
    done.push(before.then(() => work(item, at)));
  }
  const failure = new Promise<never>((_resolve, reject) => {
    for (const job of done) job.catch(reject);
  });
  failure.catch(() => {});
  return { done, failure };
}
