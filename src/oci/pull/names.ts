/** What the store calls an image, and how it knows that a file of this host is still the same. */
import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type RootImage, rootImageText } from '../../oci-names/root-image.js';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { absolutePath } from '../../util/working-directory.js';

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
 * Tells states of what an image of this host is read from; undefined for a registry's image, and for what was changed
 * just now: the next change might not show.
 */
export function identityOfSource(image: RootImage): string | undefined {
  if (image.transport === 'docker') return undefined;
  const path = image.transport === 'oci' ? join(image.path, 'index.json') : image.path;
  // Why it cannot be looked at, the one who reads it says.
  return valueOr(() => settledIdentity(path), undefined);
}

function settledIdentity(path: string): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const changed = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
  return Date.now() - changed < SETTLED ? undefined : identityOf(path);
}
