/** Finds images of the store by what people write: a name in any of its spellings, or the beginning of an id. */
import { digestParts } from '../../oci-names/digest.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { fitness, parsePlatform } from '../../oci-names/platform.js';
import { parseTypedImage } from '../../oci-names/root-image.js';
import { namedPlatform, storeName } from '../pull/names.js';
import { ofDigest } from '../pull/of-digest.js';
import type { StorePaths } from '../store/store-paths.js';
import { listTags, type Tag } from '../store/tags.js';

/** The beginning of the digest of a manifest. With fewer digits it would be a name that people give. */
const ID = /^(?:(?:sha256:)?([0-9a-f]{8,64})|sha512:([0-9a-f]{8,128}))$/;
/** Ids that no repository can be called by: Docker refuses names of 64 such digits. */
const SURELY_ID = /^(?:sha\d+:[0-9a-f]{8,}|[0-9a-f]{64})$/;

/**
 * The names that a text means: those of all platforms; or, for an id, all names of the one image.
 * @param platform undefined: any
 * @throws {SandboxError} `image-not-found`, `image-ambiguous` for a beginning of several ids, `reference-invalid`
 */
export function findTags(paths: StorePaths, text: string, platform?: string): readonly Tag[] {
  const tags = tagsFor(paths, platform);
  const named = isSurelyId(text) ? [] : byName(tags, text);
  const found = named.length > 0 ? named : byId(tags, text);
  if (found.length > 0) return found;
  throw notFound(paths, text, platform);
}

/**
 * The names of the image that a text means as an id; empty if it is a name.
 * @throws {SandboxError} as {@link findTags}; `image-not-found` for an id that cannot be a name
 */
export function findById(paths: StorePaths, text: string, platform?: string): readonly Tag[] {
  const tags = tagsFor(paths, platform);
  if (!isSurelyId(text) && (!ID.test(text) || byName(tags, text).length > 0)) return [];
  const found = byId(tags, text);
  if (found.length === 0 && isSurelyId(text)) throw notFound(paths, text, platform);
  return found;
}

/** Whether a text is an id, and no name that a registry could have. */
export function isSurelyId(text: string): boolean {
  return SURELY_ID.test(text);
}

function tagsFor(paths: StorePaths, platform: string | undefined): readonly Tag[] {
  return listTags(paths).filter((tag) => platform === undefined || tag.platform === platform);
}

function notFound(paths: StorePaths, text: string, platform: string | undefined) {
  return imageError(
    'image-not-found',
    `there is no image ${quoted(text)}${platform === undefined ? '' : ` for ${platform}`} in ${paths.directory}`,
    'pull it, or see what is there with virt-sandbox-image list',
  );
}

/**
 * The image that a text means.
 * @throws {SandboxError} as {@link findTags}; `image-ambiguous`: it is there for several platforms
 */
export function findImage(paths: StorePaths, text: string, platform?: string): Tag {
  const [first, ...others] = findTags(paths, text, platform);
  if (first === undefined) throw new Error('nothing that is found is an error');
  if (others.every(({ manifest }) => manifest === first.manifest)) return first;
  const there = listOf([first, ...others].map((tag) => tag.platform));
  throw imageError('image-ambiguous', `${quoted(text)} is there for ${there}`, 'choose one with --platform');
}

function byName(tags: readonly Tag[], text: string): readonly Tag[] {
  const image = parseTypedImage(text);
  const name = storeName(image);
  const named = namedPlatform(image);
  const isNamed = ({ platform }: Tag) => named === undefined || fitness(parsePlatform(platform), named) > 0;
  const same = tags.filter((tag) => tag.name === name && isNamed(tag));
  if (same.length > 0 || image.transport !== 'docker') return same;
  return ofDigest(tags, image.reference);
}

function byId(tags: readonly Tag[], text: string): readonly Tag[] {
  const [, short, long] = ID.exec(text) ?? [];
  const digits = short ?? long;
  if (digits === undefined) return [];
  const found = tags.filter(({ manifest }) => {
    const parts = digestParts(manifest);
    return parts.digits.startsWith(digits) && (long === undefined || parts.algorithm === 'sha512');
  });
  const ids = new Set(found.map(({ manifest }) => manifest));
  if (ids.size <= 1) return found;
  throw imageError(
    'image-ambiguous',
    `${quoted(text)} begins ${ids.size} ids: ${listOf([...ids])}`,
    'write more of it',
  );
}
