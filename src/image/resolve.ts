/**
 * Boot images: a kernel, an initrd and a manifest in a directory of the store.
 *
 * Finding an image loads nothing but this file and what it imports; the builder and its decoders are loaded when there is
 * something to build.
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
 * @throws {SandboxError} stage `kernel`, `modules` or `image`; nothing is left in the store.
 */
export async function resolveImage(options: ImageOptions): Promise<BootImage> {
  const start = performance.now();
  const store = options.storeDirectory ?? defaultStoreDirectory();
  const setsDirectory = options.setsDirectory ?? defaultSetsDirectory();
  const key = requestKey(options, setsDirectory);
  const build = () => import('./make.js').then(({ makeImage }) => makeImage(options, store, setsDirectory, key));
  const found = options.rebuild === true ? undefined : lookUp(store, key);
  const lookup = performance.now() - start;
  let answer = found === undefined ? await build() : { ...found, fresh: false, timings: {} };
  leaseImage(store, answer.manifest.id);
  // Somebody may have removed it before the lease was there.
  if (!hasFiles(join(store, answer.manifest.id), answer.manifest)) answer = await build();
  const timings = { ...answer.timings, lookup, total: performance.now() - start };
  return bootImage(join(store, answer.manifest.id), { ...answer, timings });
}

/** The image that serves `options` and is known to, or undefined: nothing is built or searched for. */
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
