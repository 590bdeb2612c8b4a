/** The image that a name means, by the policy of --pull. */

import type { Digest } from '../../oci-names/digest.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { platformText } from '../../oci-names/platform.js';
import type { PullPolicy } from '../../oci-names/pull-policy.js';
import type { RootImage } from '../../oci-names/root-image.js';
import { SandboxError } from '../../util/errors.js';
import { StorePaths } from '../store/store-paths.js';
import type { Tag } from '../store/tags.js';
import { findPulled, findStored, storedForAny } from './find.js';
import { storeName, wantedPlatform } from './names.js';
import type { PulledImage, PullOptions } from './types.js';

/**
 * The image that a name means: from the store, or pulled now. A name that is in the store means what it meant when it
 * was pulled: what is missing of that is fetched, and no other image.
 * With `manifest` that image is meant, and a registry is asked for its digest alone.
 * @throws {SandboxError} `image-not-pulled`, `image-local`, `image-replaced`, `store-damaged`, and those of pullImage
 */
export async function obtainImage(
  image: RootImage,
  policy: PullPolicy,
  options: PullOptions = {},
): Promise<PulledImage> {
  if (options.manifest !== undefined) return obtainManifest(image, options.manifest, policy, options);
  const stored = () => findStored(options.paths ?? new StorePaths(), image, options.platform);
  if (policy === 'always') {
    refuseLocal(image, options);
    return pull(image, options);
  }
  const { found, damage } = await findWhole(image, options);
  if (found !== undefined) return found;
  const tag = stored();
  if (tag?.local === true) throw damagedLocal(tag, damage);
  if (policy === 'never' && damage !== undefined) throw damage;
  if (policy === 'missing') {
    if (tag !== undefined) return pullAgain(image, tag, options);
    refuseLocal(image, options);
    return pull(image, options);
  }
  throw notPulled(storeName(image), image, options);
}

/** The image in the store, or why there is none. */
async function findWhole(image: RootImage, options: PullOptions) {
  try {
    return { found: await findPulled(image, options), damage: undefined };
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'store-damaged') throw error;
    return { found: undefined, damage: error };
  }
}

/** Whatever the policy asks of the name: what it means now does not matter. */
async function obtainManifest(
  image: RootImage,
  manifest: Digest,
  policy: PullPolicy,
  options: PullOptions,
): Promise<PulledImage> {
  const { found, damage } = await findWhole(image, options);
  if (found !== undefined) return found;
  const named = byDigest(image, manifest);
  if (policy === 'never') throw damage ?? notPulled(`${storeName(image)}, ${manifest},`, image, options);
  refuseLocal(image, options);
  const pulled = await pull(named ?? image, options);
  if (pulled.tag.manifest === manifest) return pulled;
  pulled.release();
  throw imageError(
    'image-replaced',
    `${quoted(storeName(image))} has the image ${pulled.tag.manifest} now, and not ${manifest}`,
    'put back what it was read from; a service takes the other image by virt-sandbox-service upgrade',
  );
}

/** The name of an image of a registry with its digest; undefined: it has one, or there are no such names. */
export function byDigest(image: RootImage, digest: Digest): RootImage | undefined {
  if (image.transport !== 'docker' || image.reference.digest !== undefined) return undefined;
  return { ...image, reference: { ...image.reference, digest } };
}

function notPulled(what: string, image: RootImage, { platform }: PullOptions): SandboxError {
  return imageError(
    'image-not-pulled',
    `${quoted(what)} is not in the store for ${platformText(wantedPlatform(image, platform))}`,
    'pull it, or let it be pulled with --pull missing',
  );
}

async function pull(image: RootImage, options: PullOptions): Promise<PulledImage> {
  return (await import('./pull.js')).pullImage(image, options);
}

/** The registry may mean another image by that name today. */
async function pullAgain(image: RootImage, { name, top }: Tag, options: PullOptions): Promise<PulledImage> {
  if (image.transport !== 'docker' || image.reference.digest !== undefined) return pull(image, options);
  return pull({ ...image, reference: { ...image.reference, digest: top } }, { ...options, storedAs: name });
}

/**
 * Refuses to ask a registry for a name that was given here, for this platform or for all that are there: it would be
 * somebody else's image.
 * @throws {SandboxError} `image-local`
 */
function refuseLocal(image: RootImage, { paths = new StorePaths(), platform }: PullOptions): void {
  const name = `${quoted(storeName(image))} is a name that was given here`;
  if (findStored(paths, image, platform)?.local === true)
    throw imageError(
      'image-local',
      `${name}, and no registry is asked for it`,
      'leave out --pull always, or pull that name first if a registry has it',
    );
  const tags = storedForAny(paths, image);
  if (tags.length > 0 && tags.every(({ local }) => local === true))
    throw imageError(
      'image-local',
      `${name} for ${listOf(tags.map((tag) => tag.platform))} only, and no registry is asked for it`,
      'choose that with --platform, or pull that name first if a registry has it',
    );
}

function damagedLocal({ name, manifest }: Tag, cause?: unknown): SandboxError {
  return imageError(
    'store-damaged',
    `parts of ${quoted(name)} are missing or damaged, and no registry has that name: it was given here`,
    `pull the image ${manifest} again by the name that it came with`,
    cause,
  );
}
