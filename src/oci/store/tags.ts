/** Names of images: which manifest a name means for a platform, since it was pulled. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { type Digest, isDigest } from '../../oci-names/digest.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { readRecord } from './read-record.js';
import { isRootId } from './roots.js';
import { type StorePaths, storeError } from './store-paths.js';

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
/** Another version may have written more fields. */
const TagSchema = v.object({
  format: v.literal(1),
  /** `docker://docker.io/library/debian:13`, or a place of this host. */
  name: v.string(),
  /** `linux/amd64` */
  platform: v.string(),
  /** What the name meant: a manifest, or an index. */
  top: digest,
  manifest: digest,
  config: digest,
  root: v.pipe(v.string(), v.check(isRootId)),
  /** Bytes of all layers as they came. */
  size: v.number(),
  /** Of the file or directory that it came from; of a registry's image: none. */
  identity: v.optional(v.string()),
  /** The name was given here, and no registry knows it. */
  local: v.optional(v.literal(true)),
  /** When it was pulled: ISO 8601. */
  pulled: v.pipe(v.string(), v.isoTimestamp()),
});

export type Tag = v.InferOutput<typeof TagSchema>;

const MOST_BYTES = 64 << 10;

function tagPath(paths: StorePaths, name: string, platform: string): string {
  const key = createHash('sha256')
    .update(JSON.stringify([name, platform]))
    .digest('hex');
  return join(paths.tags, `${key}.json`);
}

/** What a name means; undefined: nothing. */
export function findTag(paths: StorePaths, name: string, platform: string): Tag | undefined {
  const tag = readTag(tagPath(paths, name, platform));
  return tag?.name === name && tag.platform === platform ? tag : undefined;
}

/** All names that can be read, sorted. */
export function listTags(paths: StorePaths): Tag[] {
  return valueOr(() => readTags(paths).tags, []);
}

/**
 * All names, sorted, and the paths of records that cannot be read.
 * @throws the error of a system call
 */
export function readTags(paths: StorePaths): { readonly tags: Tag[]; readonly unreadable: string[] } {
  const tags: Tag[] = [];
  const unreadable: string[] = [];
  for (const file of readdirSync(paths.tags).sort()) {
    if (!isRecord(file)) continue;
    const path = join(paths.tags, file);
    const tag = readTag(path);
    if (tag !== undefined) tags.push(tag);
    else if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unreadable.push(path);
  }
  tags.sort((a, b) => (`${a.name} ${a.platform}` < `${b.name} ${b.platform}` ? -1 : 1));
  return { tags, unreadable };
}

function isRecord(file: string): boolean {
  return file.endsWith('.json');
}

function readTag(path: string): Tag | undefined {
  const result = v.safeParse(TagSchema, readRecord(path, MOST_BYTES));
  return result.success ? result.output : undefined;
}

/**
 * Lets a name mean an image, and no other any more.
 * @throws {SandboxError} `disk-full`, `store-not-writable`
 */
export async function writeTag(paths: StorePaths, tag: Tag): Promise<void> {
  try {
    await replaceFile(tagPath(paths, tag.name, tag.platform), `${JSON.stringify(tag)}\n`, {
      mode: 0o600,
      flush: true,
    });
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

/** Removes a name; what it means stays. */
export async function removeTag(paths: StorePaths, { name, platform }: Tag): Promise<void> {
  await rm(tagPath(paths, name, platform), { force: true });
}

/** As replaceFile writes it. */
function isHalf(file: string): boolean {
  return /^\..+\.[0-9a-f]{16}\.tmp$/.test(file);
}

/** Removes names that were not written to their end. */
export async function sweepTags(paths: StorePaths): Promise<void> {
  for (const file of readdirSync(paths.tags)) if (isHalf(file)) await removeRecord(join(paths.tags, file));
}

/** Removes the record of a name that cannot be read. One that cannot be removed stays. */
export async function removeRecord(path: string): Promise<void> {
  await rm(path, { force: true, recursive: true }).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
}
