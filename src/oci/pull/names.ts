/** What the store calls an image, and how it knows that a file of this host is still the same. */
import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { imageError, quoted } from '../../oci-names/errors.js';
import { fitness, hostPlatform, type Platform, parseArchitecture, platformMissing } from '../../oci-names/platform.js';
import { isLocalImage, type RootImage, rootImageText } from '../../oci-names/root-image.js';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { absolutePath } from '../../util/working-directory.js';

/** Milliseconds after which a change of a file surely shows in its times. */
const SETTLED = 2000;

/**
 * The image with an absolute path, if it has one. What its name says of its platform is left out, since the store keeps
 * that beside the name.
 * @throws {SandboxError} `working-directory-gone`; `image-path-invalid`: what stands behind a colon would be a name
 */
export function withAbsolutePath(image: RootImage): RootImage {
  if (image.transport === 'virt-builder') return { ...image, architecture: undefined };
  if (!isLocalImage(image)) return image;
  const path = absolutePath(image.path);
  if (image.transport === 'tar' || !path.includes(':')) return { ...image, path };
  throw imageError(
    'image-path-invalid',
    `the path ${quoted(path)} of an image has a colon in it`,
    'move it elsewhere, or let a symbolic link without one lead there',
  );
}

/** What the store calls an image. */
export function storeName(image: RootImage): string {
  return rootImageText(withAbsolutePath(image));
}

/** The platform that the name of an image says; undefined: none. */
export function namedPlatform(image: RootImage): Platform | undefined {
  if (image.transport !== 'virt-builder' || image.architecture === undefined) return undefined;
  return { os: 'linux', architecture: parseArchitecture(image.architecture), variant: undefined };
}

/**
 * The platform that is wanted of an image: what is asked for, else what its name says, else that of this host.
 * @throws {SandboxError} `platform-missing`: it is asked for one, and its name says another
 */
export function wantedPlatform(image: RootImage, asked: Platform | undefined): Platform {
  const named = namedPlatform(image);
  if (named === undefined || asked === undefined || fitness(named, asked) > 0) return asked ?? named ?? hostPlatform();
  throw platformMissing([named], asked, rootImageText(image));
}

/**
 * Tells states of what an image of this host is read from; undefined for one that is read from no file, and for what
 * was changed just now: the next change might not show.
 */
export function identityOfSource(image: RootImage): string | undefined {
  if (!isLocalImage(image)) return undefined;
  const path = image.transport === 'oci' ? join(image.path, 'index.json') : image.path;
  // If it cannot be looked at, reading it fails, and that error says why.
  return valueOr(() => settledIdentity(path), undefined);
}

function settledIdentity(path: string): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const changed = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
  return Date.now() - changed < SETTLED ? undefined : identityOf(path);
}
