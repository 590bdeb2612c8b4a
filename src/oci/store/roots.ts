/** File systems of the store: one EROFS image for each list of layers, shared by all images that have these. */
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { chmod, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { leaseImage, leasesOf } from '../../image/store/lease.js';
import { syncToDisk } from '../../image/store/sync.js';
import { sweepWorkspaces, withWorkspace } from '../../image/store/workspace.js';
import { isSystemError } from '../../util/errors.js';
import { isRecord } from '../../util/records.js';
import { replaceFile } from '../../util/replace-file.js';
import { createContentFile } from '../../util/selinux.js';
import type { Digest } from '../digest.js';
import { makeErofs } from '../layers/erofs.js';
import { indexLayers } from '../layers/index-layers.js';
import type { StoredLayer } from '../layers/layer-stream.js';
import { wholeTar } from '../layers/whole-tar.js';
import { withLock } from './lock.js';
import { type Places, storeError } from './places.js';
import { readRecord } from './read-record.js';

/** How layers become a file system. Another one makes other file systems of the same layers. */
const FORMAT = 1;
const EROFS = 'root.erofs';
const RECORD = 'root.json';
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
}

/**
 * The name of what layers are merged to.
 * @param diffIds the digests of the unpacked layers, the lowest first
 */
export function rootId(diffIds: readonly Digest[]): string {
  return createHash('sha256')
    .update(JSON.stringify([FORMAT, ...diffIds]))
    .digest('hex');
}

export function isRootId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/**
 * The file system of this name, and a lease on it until this process ends; undefined if there is none. The lease comes
 * first, and one who removes looks for leases last: lease.ts.
 */
export function useRoot(places: Places, id: string): StoredRoot | undefined {
  leaseImage(places.roots, id);
  return findRoot(places, id);
}

/** The same without a lease: it may be gone at any moment. */
export function findRoot(places: Places, id: string): StoredRoot | undefined {
  const path = join(places.root(id), EROFS);
  const record = readRecord(join(places.root(id), RECORD), MOST_RECORD);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!isRecord(record) || record['id'] !== id || found?.isFile() !== true || record['size'] !== found.size)
    return undefined;
  return { id, path, size: found.size };
}

export interface MakeRootOptions {
  /** The digests of the unpacked layers. */
  readonly diffIds: readonly Digest[];
  /** The layers, as soon as each is in the store. */
  readonly layers: () => AsyncIterable<StoredLayer>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The file system of layers; made if the store has none. Of two that want it at once, one makes it.
 * @throws {SandboxError} `layer-invalid`, `layer-too-large`, `digest-wrong`, `erofs-missing`, `erofs-failed`,
 *   `disk-full`, `store-not-writable`, `aborted`
 */
export async function makeRoot(places: Places, options: MakeRootOptions): Promise<StoredRoot> {
  const { diffIds, signal } = options;
  const id = rootId(diffIds);
  try {
    return await withLock(join(places.locks, id), 'exclusive', { signal }, async () => {
      const found = useRoot(places, id);
      if (found !== undefined) return found;
      await sweepWorkspaces(places.roots);
      await withWorkspace(places.roots, async (workspace) => {
        await build(workspace, id, options);
        await publish(places, workspace, id);
      });
      const made = useRoot(places, id);
      if (made === undefined) throw new Error(`the file system ${id} is gone as soon as it is made`);
      return made;
    });
  } catch (error) {
    throw storeError(error, places.directory);
  }
}

async function build(workspace: string, id: string, { diffIds, layers, signal }: MakeRootOptions): Promise<void> {
  // Until it is whole it is nobody's.
  await chmod(workspace, 0o700);
  const seen: StoredLayer[] = [];
  const watched = async function* () {
    for await (const layer of layers()) {
      seen.push(layer);
      yield layer;
    }
  };
  const merge = await indexLayers(watched(), signal);
  const path = join(workspace, EROFS);
  createContentFile(path);
  await makeErofs(wholeTar(merge, seen, signal), { path, uuid: id.slice(0, 32), signal });
  await chmod(path, 0o444);
  await syncToDisk(path);
  const { size } = lstatSync(path);
  const record = { format: FORMAT, id, size, diffIds };
  await replaceFile(join(workspace, RECORD), `${JSON.stringify(record)}\n`, { mode: 0o444, flush: true });
}

async function publish(places: Places, workspace: string, id: string): Promise<void> {
  const target = places.root(id);
  await syncToDisk(workspace);
  // What is there is damaged, or it would have been found.
  await withWorkspace(places.roots, async (aside) => {
    await rename(target, join(aside, id)).catch((error: unknown) => {
      if (!isSystemError(error, 'ENOENT')) throw error;
    });
    await rename(workspace, target);
  });
  await chmod(target, 0o711);
  await syncToDisk(places.roots);
}

/** The processes that use a file system. */
export function usersOf(places: Places, id: string): readonly number[] {
  return leasesOf(places.roots).get(id) ?? [];
}

/**
 * Removes a file system that nobody uses.
 * @returns false: somebody uses it, and it stays
 * @throws the error of a system call
 */
export async function removeRoot(places: Places, id: string): Promise<boolean> {
  if (usersOf(places, id).length > 0) return false;
  return withWorkspace(places.roots, async (workspace) => {
    const moved = join(workspace, id);
    try {
      await rename(places.root(id), moved);
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return true;
      throw error;
    }
    // Whoever comes from now on finds none; who came before has a lease.
    if (usersOf(places, id).length === 0) return true;
    await rename(moved, places.root(id));
    return false;
  });
}

/** The names of all file systems. */
export async function rootIds(places: Places): Promise<string[]> {
  return (await readdir(places.roots)).filter(isRootId).sort();
}
