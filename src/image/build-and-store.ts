/**
 * Makes an image for the store: builds it in memory, writes it, and remembers which request it answers. Nothing is
 * written before everything has been read and checked.
 */

import { buildImage } from './build/build.js';
import { IMAGE_FORMAT, type Manifest, manifestText, sha256 } from './manifest.js';
import { keepImage, rememberAnswer } from './store/write.js';
import type { ImageOptions, ImageTimings } from './types.js';

/** An image in the store. */
export interface MadeImage {
  readonly manifest: Manifest;
  readonly reason: string;
  /** True when it was written now, false when the store had it. */
  readonly fresh: boolean;
  readonly timings: Partial<ImageTimings>;
}

/**
 * @param key The request's name in the store's index: see lookup.ts.
 * @throws {SandboxError} stage `kernel`, `modules` or `image`; nothing is left in the store.
 */
export async function makeImage(
  options: ImageOptions,
  store: string,
  setsDirectory: string,
  key: string,
): Promise<MadeImage> {
  const built = await buildImage(options, setsDirectory);
  const { manifest, reason, inputs } = built;
  const start = performance.now();
  const fresh = await keepImage(store, built, options.rebuild === true);
  const timings = { ...built.timings, store: performance.now() - start };
  if (inputs !== undefined) {
    const hash = sha256(manifestText(manifest));
    const answer = { format: IMAGE_FORMAT, image: manifest.id, manifest: hash, reason, inputs };
    if (!(await rememberAnswer(store, key, answer))) {
      options.onProgress?.('the store cannot be written to, so the next start searches for this image again');
    }
  }
  return { manifest, reason, fresh, timings };
}
