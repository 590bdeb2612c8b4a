/** From what a user writes behind --root to a source of the image, and to the name that the store has for it. */
import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '../../util/input-log.js';
import { absolutePath } from '../../util/working-directory.js';
import { openLocal } from '../local/local.js';
import type { Platform } from '../platform.js';
import type { RegistryOptions } from '../registry/options.js';
import { openRegistry } from '../registry/registry.js';
import { type RootImage, rootImageText } from '../root-image.js';
import type { ImageSource } from '../source.js';

/** Milliseconds after which a change of a file surely shows in its times. */
const SETTLED = 2000;

/** The image with an absolute path, if it has one. @throws {SandboxError} `working-directory-gone` */
export function anywhere(image: RootImage): RootImage {
  return image.transport === 'docker' ? image : { ...image, path: absolutePath(image.path) };
}

/** What the store calls an image. */
export function storeName(image: RootImage): string {
  return rootImageText(anywhere(image));
}

/**
 * Opens an image. Errors: those of registries, directories and archives.
 * @param platform of `tar:` archives, which do not say theirs
 */
export async function openSource(
  image: RootImage,
  platform: Platform,
  options: RegistryOptions,
  signal: AbortSignal | undefined,
): Promise<ImageSource> {
  return image.transport === 'docker' ? openRegistry(image.reference, options) : openLocal(image, platform, signal);
}

/**
 * Tells states of what an image of this host is read from; undefined for a registry's image, and for what was changed
 * just now: the next change might not show.
 */
export function identityOfSource(image: RootImage): string | undefined {
  if (image.transport === 'docker') return undefined;
  const path = image.transport === 'oci' ? join(image.path, 'index.json') : image.path;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const changed = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
  return Date.now() - changed < SETTLED ? undefined : identityOf(path);
}
