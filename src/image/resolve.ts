/**
 * Finds the boot image for a request in the store, or has it built. A boot image is a directory with a kernel, an
 * initrd and a manifest.
 *
 * Every start of a sandbox comes through here, so the builder and its decoders are loaded only when there is something
 * to build.
 */

import { join } from 'node:path';
import { defaultSetsDirectory } from '../kmods/sets.js';
import { leaseImage } from './store/lease.js';
import { lookUp, requestKey } from './store/lookup.js';
import { bootImage, defaultStoreDirectory, hasFiles } from './store/store.js';
import type { BootImage, ImageOptions } from './types.js';

export type { Manifest } from './manifest.js';
export { defaultStoreDirectory } from './store/store.js';
export type { BootImage, ImageOptions, ImageTimings } from './types.js';

/**
 * Finds the image that serves `options`, or builds it.
 *
 * @param isUnknown {@link findKnownImage} has just found none, so do not look again.
 * @throws {SandboxError} stage `kernel`, `modules` or `image`; then nothing is left in the store.
 */
export async function resolveImage(options: ImageOptions, isUnknown = false): Promise<BootImage> {
  const start = performance.now();
  const store = options.storeDirectory ?? defaultStoreDirectory();
  const setsDirectory = options.setsDirectory ?? defaultSetsDirectory();
  const key = requestKey(options, setsDirectory);
  const build = () =>
    import('./build-and-store.js').then(({ makeImage }) => makeImage(options, store, setsDirectory, key));
  const found = options.rebuild === true || isUnknown ? undefined : lookUp(store, key);
  const lookup = performance.now() - start;
  let answer = found === undefined ? await build() : { ...found, fresh: false, timings: {} };
  leaseImage(store, answer.manifest.id);
  // The image may have been removed before the lease was taken.
  if (!hasFiles(join(store, answer.manifest.id), answer.manifest)) answer = await build();
  const timings = { ...answer.timings, lookup, total: performance.now() - start };
  return bootImage(join(store, answer.manifest.id), { ...answer, timings });
}

/** The image that the store remembers for `options`; undefined if it remembers none. Nothing is built. */
export function findKnownImage(options: ImageOptions): BootImage | undefined {
  const start = performance.now();
  const store = options.storeDirectory ?? defaultStoreDirectory();
  const found = lookUp(store, requestKey(options, options.setsDirectory ?? defaultSetsDirectory()));
  if (found === undefined) return undefined;
  leaseImage(store, found.manifest.id);
  const directory = join(store, found.manifest.id);
  if (!hasFiles(directory, found.manifest)) return undefined;
  const elapsed = performance.now() - start;
  return bootImage(directory, { ...found, fresh: false, timings: { lookup: elapsed, total: elapsed } });
}
