/**
 * Finds the boot image for a request in the store, or has it built. A boot image is a directory with a kernel, an
 * initrd and a manifest.
 *
 * Every start of a sandbox comes through here, so the builder and its decoders are loaded only when there is something
 * to build.
 */

import { join } from 'node:path';
import { defaultSetsDirectory } from '../kmods/sets.js';
import { isChecked } from './store/checked.js';
import { leaseImage } from './store/lease.js';
import { lookUp, requestKey } from './store/lookup.js';
import { makeWhole } from './store/renew.js';
import { bootImage, defaultStoreDirectory, refuseUnsafeStore, storeError } from './store/store.js';
import type { BootImage, ImageOptions } from './types.js';

export type { Manifest } from './manifest.js';
export { defaultStoreDirectory } from './store/store.js';
export type { BootImage, ImageOptions, ImageTimings } from './types.js';

/**
 * Finds the image that serves `options`, or builds it.
 *
 * @throws {SandboxError} stage `kernel`, `modules` or `image`; then nothing is left in the store.
 */
export async function resolveImage(options: ImageOptions): Promise<BootImage> {
  const start = performance.now();
  const store = options.storeDirectory ?? defaultStoreDirectory();
  refuseUnsafeStore(store);
  const setsDirectory = options.setsDirectory ?? defaultSetsDirectory();
  const key = requestKey(options, setsDirectory);
  const build = () =>
    import('./build-and-store.js').then(({ makeImage }) => makeImage(options, store, setsDirectory, key));
  const found = options.rebuild === true ? undefined : lookUp(store, key);
  const lookup = performance.now() - start;
  let answer = found === undefined ? await build() : { ...found, fresh: false, timings: {} };
  leaseImage(store, answer.manifest.id);
  // A file may have been changed, or the image removed before the lease was taken.
  const whole = await makeWhole(store, answer.manifest).catch((error: unknown) => {
    throw storeError(error, store);
  });
  if (!whole) {
    answer = await build();
    // It may be another image: what it is built from may have changed.
    leaseImage(store, answer.manifest.id);
  }
  const timings = { ...answer.timings, lookup, total: performance.now() - start };
  return bootImage(join(store, answer.manifest.id), { ...answer, timings });
}

/**
 * The image that the store remembers for `options`; undefined if it remembers none, or if its files have to be read
 * first. Nothing is built or read.
 *
 * @throws {SandboxError} `store-not-safe`
 */
export function findKnownImage(options: ImageOptions): BootImage | undefined {
  const start = performance.now();
  const store = options.storeDirectory ?? defaultStoreDirectory();
  refuseUnsafeStore(store);
  const found = lookUp(store, requestKey(options, options.setsDirectory ?? defaultSetsDirectory()));
  if (found === undefined) return undefined;
  leaseImage(store, found.manifest.id);
  if (!isChecked(store, found.manifest)) return undefined;
  const directory = join(store, found.manifest.id);
  const elapsed = performance.now() - start;
  return bootImage(directory, { ...found, fresh: false, timings: { lookup: elapsed, total: elapsed } });
}
