/** Finds images of the store by what people write: a name in any of its spellings, or the beginning of an id. */
import { digestParts } from '../../oci-names/digest.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import type { Reference } from '../../oci-names/reference.js';
import { parseRootImage, parseTypedImage, type RootImage } from '../../oci-names/root-image.js';
import { storeName } from '../pull/names.js';
import type { Places } from '../store/places.js';
import { listTags, type Tag } from '../store/tags.js';

/** The beginning of the digest of a manifest. With fewer digits it would be a name that people give. */
const ID = /^(?:sha256:)?([0-9a-f]{8,64})$/;

/**
 * The names that a text means: those of all platforms; or, for an id, all names of the one image.
 * @param platform undefined: any
 * @throws {SandboxError} `image-not-found`, `image-ambiguous` for a beginning of several ids, `reference-invalid`
 */
export function findTags(places: Places, text: string, platform?: string): readonly Tag[] {
  const tags = listTags(places).filter((tag) => platform === undefined || tag.platform === platform);
  const named = byName(tags, text);
  const found = named.length > 0 ? named : byId(tags, text);
  if (found.length > 0) return found;
  throw imageError(
    'image-not-found',
    `there is no image ${quoted(text)}${platform === undefined ? '' : ` for ${platform}`} in ${places.directory}`,
    'pull it, or see what is there with virt-sandbox-image list',
  );
}

/**
 * The image that a text means.
 * @throws {SandboxError} as {@link findTags}; `image-ambiguous`: it is there for several platforms
 */
export function findImage(places: Places, text: string, platform?: string): Tag {
  const [first, ...others] = findTags(places, text, platform);
  if (first === undefined) throw new Error('nothing that is found is an error');
  if (others.every(({ manifest }) => manifest === first.manifest)) return first;
  const there = listOf([first, ...others].map((tag) => tag.platform));
  throw imageError('image-ambiguous', `${quoted(text)} is there for ${there}`, 'choose one with --platform');
}

function byName(tags: readonly Tag[], text: string): readonly Tag[] {
  const image = parseTypedImage(text);
  const name = storeName(image);
  const same = tags.filter((tag) => tag.name === name);
  return same.length > 0 ? same : byDigest(tags, image);
}

/** `debian@sha256:…`, with a tag or without, is any name of that repository which means that digest. */
function byDigest(tags: readonly Tag[], image: RootImage): readonly Tag[] {
  if (image.transport !== 'docker' || image.reference.digest === undefined) return [];
  const { digest } = image.reference;
  return tags.filter(({ name, top, manifest }) => {
    if ((top !== digest && manifest !== digest) || !name.startsWith('docker:')) return false;
    const own = parseRootImage(name);
    return own.transport === 'docker' && fits(own.reference, image.reference);
  });
}

/** Whether a name is one of the repository of another, and has its tag, if that has one. */
function fits(own: Reference, { registry, repository, tag }: Reference): boolean {
  return own.registry === registry && own.repository === repository && (tag === undefined || own.tag === tag);
}

function byId(tags: readonly Tag[], text: string): readonly Tag[] {
  const [, digits] = ID.exec(text) ?? [];
  if (digits === undefined) return [];
  const found = tags.filter(({ manifest }) => digestParts(manifest).digits.startsWith(digits));
  const ids = new Set(found.map(({ manifest }) => manifest));
  if (ids.size <= 1) return found;
  throw imageError(
    'image-ambiguous',
    `${quoted(text)} begins ${ids.size} ids: ${listOf([...ids])}`,
    'write more of it',
  );
}
