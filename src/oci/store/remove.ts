/**
 * Removes images, and what no image needs any more. Nobody pulls meanwhile, so nothing goes that somebody is about to
 * need.
 */
import { readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepWorkspaces } from '../../image/store/workspace.js';
import { type Digest, isDigest } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { withLock } from '../lock.js';
import { type Manifest, parseStoredManifest } from '../manifest.js';
import { readDocument } from './blobs.js';
import { type Places, storeError } from './places.js';
import { removeRoot, rootIds, usersOf } from './roots.js';
import { listTags, removeTag, sweepTags, type Tag } from './tags.js';

/** What was removed, or would be. */
export interface RemovedImages {
  readonly tags: readonly Tag[];
  readonly blobs: readonly Digest[];
  /** Ids of file systems. */
  readonly roots: readonly string[];
  /** Bytes of blobs and file systems. */
  readonly bytes: number;
}

/**
 * Removes a name, and all that only it needs.
 * @param platform undefined: of all platforms
 * @throws {SandboxError} as {@link removeTags}
 */
export async function removeImage(places: Places, name: string, platform?: string): Promise<RemovedImages> {
  const tags = listTags(places).filter(
    (tag) => tag.name === name && (platform === undefined || tag.platform === platform),
  );
  return removeTags(places, name, tags);
}

/**
 * Removes names that were found, and all that only they need. One that means another image by now stays.
 * @param called what people call them, for messages
 * @throws {SandboxError} `image-not-found`, `image-in-use`, `store-busy`, `store-not-writable`
 */
export async function removeTags(places: Places, called: string, found: readonly Tag[]): Promise<RemovedImages> {
  return alone(places, async () => {
    const tags = listTags(places);
    const gone = tags.filter((tag) => found.some((one) => isSameTag(one, tag)));
    if (gone.length === 0)
      throw imageError(
        'image-not-found',
        `there is no image ${quoted(called)} in ${places.directory}`,
        'see that its name is right',
      );
    for (const tag of gone) {
      const isShared = tags.some((other) => other.root === tag.root && !gone.includes(other));
      const users = isShared ? [] : usersOf(places, tag.root);
      if (users.length > 0) throw inUse(tag.name, users);
    }
    for (const tag of gone) await removeTag(places, tag);
    return { ...(await sweep(places, false)), tags: gone };
  });
}

function isSameTag(one: Tag, other: Tag): boolean {
  return one.name === other.name && one.platform === other.platform && one.manifest === other.manifest;
}

export interface PruneOptions {
  /** Also names whose file system nobody uses. */
  readonly all?: boolean | undefined;
  /** Remove nothing; only say what would be removed. */
  readonly dryRun?: boolean | undefined;
}

/**
 * Removes what no name needs: blobs, file systems that nobody uses, and what pulls have left that did not end.
 * @throws {SandboxError} `store-busy`, `store-not-writable`
 */
export async function pruneStore(
  places: Places,
  { all = false, dryRun = false }: PruneOptions = {},
): Promise<RemovedImages> {
  return alone(places, async () => {
    const idle = all ? listTags(places).filter((tag) => usersOf(places, tag.root).length === 0) : [];
    if (!dryRun) {
      for (const tag of idle) await removeTag(places, tag);
      await sweepTags(places);
      await sweepWorkspaces(places.roots);
      for (const directory of [places.partials, places.locks])
        for (const name of readdirSync(directory)) await rm(join(directory, name), { force: true });
    }
    return { ...(await sweep(places, dryRun, idle)), tags: idle };
  });
}

/**
 * Removes blobs that no name needs, and what is there of them. They stay if somebody pulls, who may need them, until the
 * store is pruned.
 */
export async function dropBlobs(places: Places, digests: Iterable<Digest>): Promise<void> {
  try {
    await alone(places, async () => {
      const needed = neededBlobs(places, listTags(places));
      for (const digest of digests) {
        await rm(places.partial(digest), { force: true });
        if (!needed.has(digest)) await rm(places.blob(digest), { force: true });
      }
    });
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
  }
}

/** Runs `work` while nobody pulls. */
async function alone<T>(places: Places, work: () => Promise<T>): Promise<T> {
  const onWait = () => {
    throw imageError('store-busy', `an image is being pulled into ${places.directory}`, 'wait until it is there');
  };
  places.make();
  try {
    return await withLock(places.lock, 'exclusive', { onWait }, work);
  } catch (error) {
    throw storeError(error, places.directory);
  }
}

/** @param without names that count as removed */
async function sweep(
  places: Places,
  dryRun: boolean,
  without: readonly Tag[] = [],
): Promise<Omit<RemovedImages, 'tags'>> {
  const tags = listTags(places).filter(
    (tag) => !without.some(({ name, platform }) => name === tag.name && platform === tag.platform),
  );
  const needed = neededBlobs(places, tags);
  const neededRoots = new Set(tags.map(({ root }) => root));
  let bytes = 0;
  const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const roots: string[] = [];
  for (const id of (await rootIds(places)).filter((id) => !neededRoots.has(id))) {
    const size = sizeOf(join(places.root(id), 'root.erofs'));
    if (dryRun ? usersOf(places, id).length > 0 : !(await removeRoot(places, id))) continue;
    roots.push(id);
    bytes += size;
  }
  const blobs = storedDigests(places).filter((digest) => !needed.has(digest));
  for (const digest of blobs) {
    bytes += sizeOf(places.blob(digest));
    if (!dryRun) await rm(places.blob(digest), { force: true });
  }
  return { blobs, roots, bytes };
}

function storedDigests(places: Places): Digest[] {
  return ['sha256', 'sha512'].flatMap((algorithm) =>
    valueOr(() => readdirSync(join(places.blobs, algorithm)), [])
      .map((digits) => `${algorithm}:${digits}`)
      .filter(isDigest),
  );
}

function neededBlobs(places: Places, tags: readonly Tag[]): ReadonlySet<Digest> {
  return new Set(tags.flatMap((tag) => blobsOf(places, tag)));
}

/** The blobs that an image needs. One whose manifest is damaged keeps those that are known. */
function blobsOf(places: Places, { top, manifest, config }: Tag): Digest[] {
  let parsed: Manifest | undefined;
  try {
    parsed = parseStoredManifest(readDocument(places, manifest), manifest);
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
  }
  return [top, manifest, config, ...(parsed?.layers.map(({ digest }) => digest) ?? [])];
}

function inUse(name: string, users: readonly number[]): SandboxError {
  const processes = users.length === 1 ? 'the process' : 'the processes';
  return imageError(
    'image-in-use',
    `${quoted(name)} is in use by ${processes} ${users.join(', ')}`,
    'end that sandbox first',
  );
}
