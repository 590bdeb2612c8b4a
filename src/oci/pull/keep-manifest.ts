/** Lets an image stay in the store when its name means another one. */
import type { RootImage } from '../../oci-names/root-image.js';
import { withSharedLock } from '../store/store-lock.js';
import { StorePaths } from '../store/store-paths.js';
import { findTag, type Tag, writeTag } from '../store/tags.js';
import { storeName } from './names.js';
import { byDigest } from './obtain.js';
import type { PullOptions } from './types.js';

/**
 * Gives an image of a registry the name with its digest as well. One that is read from this host has no such name.
 * @throws {SandboxError} `aborted`, `disk-full`, `store-not-writable`
 */
export async function keepManifest(
  image: RootImage,
  tag: Tag,
  { paths = new StorePaths(), signal }: Pick<PullOptions, 'paths' | 'signal'> = {},
): Promise<void> {
  const named = byDigest(image, tag.manifest);
  if (named === undefined) return;
  const name = storeName(named);
  await withSharedLock(paths, signal, async () => {
    if (findTag(paths, name, tag.platform) === undefined) await writeTag(paths, { ...tag, name });
  });
}
