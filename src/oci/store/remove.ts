/**
 * Removes images, and what no image needs any more. Nobody pulls meanwhile, so nothing goes that somebody is about to
 * need.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { leasesOf } from '../../image/store/lease.js';
import { type Digest, isDigest } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { neededIn, type Unreadable } from './needed.js';
import { removeRoot, rootIds, usersOf } from './roots.js';
import { withExclusiveLock } from './store-lock.js';
import type { StorePaths } from './store-paths.js';
import { listTags, readTags, removeRecord, removeTag, sweepTags, type Tag } from './tags.js';
import { sweepPulls } from './workspaces.js';

/** What was removed, or would be. */
export interface RemovedImages {
  readonly tags: readonly Tag[];
  readonly blobs: readonly Digest[];
  /** Ids of file systems. */
  readonly roots: readonly string[];
  /** What pulls have left that did not end: the names of parts of blobs, and of directories of half a file system. */
  readonly leftovers: readonly string[];
  /** Paths of records of names that could not be read. */
  readonly records: readonly string[];
  /** Why blobs or file systems stay that perhaps no name needs. */
  readonly unreadable: readonly Unreadable[];
  /** Bytes of all these. */
  readonly bytes: number;
}

/**
 * Removes a name, and all that only it needs.
 * @param platform undefined: of all platforms
 * @throws {SandboxError} as {@link removeTags}
 */
export async function removeImage(paths: StorePaths, name: string, platform?: string): Promise<RemovedImages> {
  const tags = listTags(paths).filter(
    (tag) => tag.name === name && (platform === undefined || tag.platform === platform),
  );
  return removeTags(paths, name, tags);
}

/**
 * Removes names that were found, and all that only they need. One that means another image by now stays.
 * @param called what people call them, for messages
 * @param signal ends it before the next blob. What they need that is still there is left to the next who removes.
 * @throws {SandboxError} `image-not-found`, `image-in-use`, `store-busy`, `store-not-writable`; `aborted`: nothing was
 *   removed
 */
export async function removeTags(
  paths: StorePaths,
  called: string,
  found: readonly Tag[],
  signal?: AbortSignal,
): Promise<RemovedImages> {
  return withExclusiveLock(paths, { signal }, async () => {
    const tags = listTags(paths);
    const gone = tags.filter((tag) => found.some((one) => isSameTag(one, tag)));
    if (gone.length === 0)
      throw imageError(
        'image-not-found',
        `there is no image ${quoted(called)} in ${paths.directory}`,
        'see that its name is right',
      );
    for (const tag of gone) {
      const isShared = tags.some((other) => other.root === tag.root && !gone.includes(other));
      const users = isShared ? [] : usersOf(paths, tag.root);
      if (users.length > 0) throw inUse(tag.name, users);
    }
    for (const tag of gone) await removeTag(paths, tag);
    return { ...(await sweep(paths, { signal })), tags: gone, leftovers: [], records: [] };
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
  /** Ends it before the next thing is removed. What was removed by then is returned. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Removes what no name needs: blobs, file systems that nobody uses, and what pulls have left that did not end.
 * @throws {SandboxError} `store-busy`, `store-not-writable`; `aborted`: nothing was removed
 */
export async function pruneStore(
  paths: StorePaths,
  { all = false, dryRun = false, signal }: PruneOptions = {},
): Promise<RemovedImages> {
  return withExclusiveLock(paths, { signal }, async () => {
    const { tags: known, unreadable } = readTags(paths);
    const idle = all ? known.filter((tag) => usersOf(paths, tag.root).length === 0) : [];
    const left = await sweepLeftovers(paths, { dryRun, signal });
    const tags: Tag[] = [];
    for (const tag of idle) {
      if (signal?.aborted) break;
      if (!dryRun) await removeTag(paths, tag);
      tags.push(tag);
    }
    let records: readonly string[] = [];
    if (!signal?.aborted) {
      // A sandbox may use the image of one of them.
      if (all && !hasOtherUsers(paths, known)) records = unreadable;
      if (!dryRun) await sweepRecords(paths, records);
    }
    const swept = await sweep(paths, { dryRun, without: tags, withoutRecords: records.length > 0, signal });
    return { ...swept, tags, records, leftovers: left.names, bytes: swept.bytes + left.bytes };
  });
}

async function sweepRecords(paths: StorePaths, unreadable: readonly string[]): Promise<void> {
  for (const path of unreadable) await removeRecord(path);
  await sweepTags(paths);
  for (const name of readdirSync(paths.locks)) await rm(join(paths.locks, name), { force: true });
}

/** Whether somebody uses a file system that none of these names means. */
function hasOtherUsers(paths: StorePaths, tags: readonly Tag[]): boolean {
  return [...leasesOf(paths.roots).keys()].some((id) => !tags.some(({ root }) => root === id));
}

async function sweepLeftovers(
  paths: StorePaths,
  { dryRun, signal }: Pick<SweepOptions, 'dryRun' | 'signal'>,
): Promise<{ names: string[]; bytes: number }> {
  // Their sizes first: then they are gone.
  const sizes = new Map((await sweepPulls(paths, true)).map((path) => [path, sizeOfTree(path)]));
  const swept = await sweepPulls(paths, dryRun);
  const names = swept.map((path) => basename(path));
  let bytes = swept.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  for (const name of readdirSync(paths.partials)) {
    if (signal?.aborted) break;
    const path = join(paths.partials, name);
    const size = sizeOf(path);
    if (!dryRun) await rm(path, { force: true });
    // An empty one is a lock.
    if (size > 0) names.push(name);
    bytes += size;
  }
  return { names, bytes };
}

function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Bytes that the files below a directory take: the machine of libguestfs is mostly a hole. 0 if it changes meanwhile: a
 * pull, what runs in it, or another sweep may just remove it.
 */
function sizeOfTree(directory: string): number {
  const entries = valueOr(() => readdirSync(directory, { recursive: true, withFileTypes: true }), []);
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + bytesOnDisk(join(parentPath, name)), 0);
}

function bytesOnDisk(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found === undefined ? 0 : Math.min(found.size, found.blocks * 512);
}

/**
 * Removes blobs that no name needs, and what is there of them. They stay if somebody pulls, who may need them, until the
 * store is pruned.
 */
export async function dropBlobs(paths: StorePaths, digests: Iterable<Digest>): Promise<void> {
  try {
    await withExclusiveLock(paths, { patience: 0 }, async () => {
      const needed = neededIn(paths).blobs;
      for (const digest of digests) {
        await rm(paths.partial(digest), { force: true });
        if (needed?.has(digest) === false) await rm(paths.blob(digest), { force: true });
      }
    });
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
  }
}

interface SweepOptions {
  readonly dryRun?: boolean;
  /** Names that count as removed. */
  readonly without?: readonly Tag[];
  /** Records that cannot be read count as removed too. */
  readonly withoutRecords?: boolean;
  readonly signal?: AbortSignal | undefined;
}

async function sweep(
  paths: StorePaths,
  { dryRun = false, without = [], withoutRecords = false, signal }: SweepOptions,
): Promise<Pick<RemovedImages, 'blobs' | 'roots' | 'bytes' | 'unreadable'>> {
  const isGone = (tag: Tag) => without.some(({ name, platform }) => name === tag.name && platform === tag.platform);
  const needed = neededIn(paths, isGone, withoutRecords);
  let bytes = 0;
  const roots: string[] = [];
  for (const id of (await rootIds(paths)).filter((id) => needed.roots?.has(id) === false)) {
    if (signal?.aborted) break;
    const size = sizeOf(join(paths.root(id), 'root.erofs'));
    if (dryRun ? usersOf(paths, id).length > 0 : !(await removeRoot(paths, id))) continue;
    roots.push(id);
    bytes += size;
  }
  const unneeded = storedDigests(paths).filter((digest) => needed.blobs?.has(digest) === false);
  const blobs: Digest[] = [];
  for (const digest of unneeded) {
    if (signal?.aborted) break;
    bytes += sizeOf(paths.blob(digest));
    if (!dryRun) await rm(paths.blob(digest), { force: true });
    blobs.push(digest);
  }
  return { blobs, roots, bytes, unreadable: needed.unreadable };
}

function storedDigests(paths: StorePaths): Digest[] {
  return ['sha256', 'sha512'].flatMap((algorithm) =>
    valueOr(() => readdirSync(join(paths.blobs, algorithm)), [])
      .map((digits) => `${algorithm}:${digits}`)
      .filter(isDigest),
  );
}

function inUse(name: string, users: readonly number[]): SandboxError {
  const processes = users.length === 1 ? 'the process' : 'the processes';
  return imageError(
    'image-in-use',
    `${quoted(name)} is in use by ${processes} ${users.join(', ')}`,
    'end that sandbox first',
  );
}
