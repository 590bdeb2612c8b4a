/** File systems of the store: one EROFS image for each list of layers, shared by all images that have these. */
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { leaseImage, leasesOf } from '../../image/store/lease.js';
import { withWorkspace } from '../../image/store/workspace.js';
import type { Digest } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { isSystemError } from '../../util/errors.js';
import { readRegular, UnreadableFile } from '../../util/regular-files.js';
import { readRecord } from './read-record.js';
import { untilDecided, withRemovalMark } from './removal-mark.js';
import type { StorePaths } from './store-paths.js';

/** How layers become a file system. Another one makes other file systems of the same layers. */
export const ROOT_FORMAT = 2;
/** Files of a root. */
export const EROFS = 'root.erofs';
export const RECORD = 'root.json';
/** Copies of files of the image, from its /etc. */
export const KEPT_FILES = ['passwd', 'group'] as const;
export type KeptFile = (typeof KEPT_FILES)[number];
/** Bytes of such a copy. */
export const MOST_KEPT = 1 << 20;
/** Bytes of a record. */
const MOST_RECORD = 1 << 20;

/** A file system of the store. */
export interface StoredRoot {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** The EROFS image. Nobody writes to it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What its topmost directory has. */
  readonly top: Top;
  /** The copies beside it. */
  readonly kept: readonly KeptFile[];
}

/** One that nobody removes before it is given back. */
export interface LeasedRoot {
  readonly root: StoredRoot;
  /** Gives it back. Without that the lease lasts until this process ends. */
  readonly release: () => void;
}

export interface Top {
  /** As chmod(2) has it. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const RecordSchema = v.object({
  id: v.string(),
  size: v.number(),
  sha256: v.string(),
  top: v.object({ mode: v.number(), uid: v.number(), gid: v.number() }),
  kept: v.array(v.picklist(KEPT_FILES)),
});

/**
 * The name of what layers are merged to.
 * @param diffIds the digests of the unpacked layers, the lowest first
 */
export function rootId(diffIds: readonly Digest[]): string {
  return createHash('sha256')
    .update(JSON.stringify([ROOT_FORMAT, ...diffIds]))
    .digest('hex');
}

export function isRootId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/**
 * The file system of this name, and a lease on it; undefined if there is none. As long as the lease lasts nobody moves
 * it: removal-mark.ts.
 * @throws {SandboxError} `aborted`; `disk-full`, `store-not-writable`: there can be no lease
 */
export async function useRoot(paths: StorePaths, id: string, signal?: AbortSignal): Promise<LeasedRoot | undefined> {
  const release = leaseImage(paths.roots, id);
  let root: StoredRoot | undefined;
  try {
    await untilDecided(paths, id, signal);
    root = findRoot(paths, id);
    return root && { root, release };
  } finally {
    if (root === undefined) release();
  }
}

/** The same without a lease: it may be gone at any moment. */
export function findRoot(paths: StorePaths, id: string): StoredRoot | undefined {
  const path = join(paths.root(id), EROFS);
  const record = recordOf(paths, id);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (record === undefined || found?.isFile() !== true || record.size !== found.size) return undefined;
  return { id, path, size: found.size, top: record.top, kept: record.kept };
}

function recordOf(paths: StorePaths, id: string): v.InferOutput<typeof RecordSchema> | undefined {
  const { success, output } = v.safeParse(RecordSchema, readRecord(join(paths.root(id), RECORD), MOST_RECORD));
  return success && output.id === id ? output : undefined;
}

/** The digest that a file system had when it was made, in hexadecimal digits. */
export function recordedDigest(paths: StorePaths, { id }: StoredRoot): string | undefined {
  return recordOf(paths, id)?.sha256;
}

/**
 * The text of a file of a root's /etc; empty if the image has none, or a larger one.
 * @throws {SandboxError} `store-damaged`: it has one, and that is gone
 */
export function readKept(paths: StorePaths, { id, kept }: StoredRoot, name: KeptFile): string {
  if (!kept.includes(name)) return '';
  try {
    return readRegular(join(paths.root(id), name), MOST_KEPT);
  } catch (error) {
    if (!isSystemError(error) && !(error instanceof UnreadableFile)) throw error;
    // Without it a user of the image would get other groups, in silence.
    throw imageError(
      'store-damaged',
      `the file ${quoted(join(paths.root(id), name))} cannot be read`,
      'remove the image, and pull it again',
      error,
    );
  }
}

/** The processes that use a file system. */
export function usersOf(paths: StorePaths, id: string): readonly number[] {
  return leasesOf(paths.roots).get(id) ?? [];
}

/**
 * Removes a file system that nobody uses. The caller has the store alone.
 * @returns false: somebody uses it, and it stays
 * @throws the error of a system call
 */
export async function removeRoot(paths: StorePaths, id: string): Promise<boolean> {
  if (usersOf(paths, id).length > 0) return false;
  return withWorkspace(paths.roots, (workspace) =>
    withRemovalMark(paths, id, async () => {
      if (usersOf(paths, id).length > 0) return false;
      await rename(paths.root(id), join(workspace, id)).catch((error: unknown) => {
        if (!isSystemError(error, 'ENOENT')) throw error;
      });
      return true;
    }),
  );
}

/** The names of all file systems. */
export async function rootIds(paths: StorePaths): Promise<string[]> {
  return (await readdir(paths.roots)).filter(isRootId).sort();
}
