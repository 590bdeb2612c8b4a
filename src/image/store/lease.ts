/**
 * Leases say which images are in use, so that no image is removed under a sandbox. A process that uses an image keeps
 * an empty file in the store, whose name has the image and the process, however often it uses the image. The process
 * removes it with its last use, or when it exits; the lease of a killed process is recognized by its name (owner.ts).
 *
 * A process takes the lease before it looks at the image. A remover moves the image away before it looks for leases. So
 * one of the two always sees the other.
 */

import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { isOwnerGone, ownerTag } from './owner.js';

/** How many leases this process has, by the path of their file. */
const held = new Map<string, number>();
let isReleasedAtExit = false;

export function leaseDirectory(store: string): string {
  return join(store, '.leases');
}

/**
 * Takes a lease on image `id` of `store`, and sets the time of its last use to now. Does nothing in a store that this
 * user cannot write to: only the store's owner can remove the image there, and the owner sees the QEMU that uses it
 * (inspect/users.ts).
 * @returns gives the lease back. Without that it lasts until this process ends
 */
export function leaseImage(store: string, id: string): () => void {
  const path = join(leaseDirectory(store), `${id}.${ownerTag()}`);
  let isHeld = false;
  try {
    takeLease(path, leaseDirectory(store));
    isHeld = true;
    const now = new Date();
    // The directory's entries never change, so its modification time serves as the time of the last use.
    utimesSync(join(store, id), now, now);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  return () => {
    if (isHeld) dropLease(path);
    isHeld = false;
  };
}

function takeLease(path: string, directory: string): void {
  const uses = held.get(path) ?? 0;
  if (uses === 0) makeLease(path, directory);
  held.set(path, uses + 1);
  if (isReleasedAtExit) return;
  isReleasedAtExit = true;
  process.once('exit', releaseAll);
}

function dropLease(path: string): void {
  const uses = held.get(path) ?? 0;
  if (uses > 1) {
    held.set(path, uses - 1);
    return;
  }
  held.delete(path);
  remove(path);
}

function makeLease(path: string, directory: string): void {
  try {
    writeFileSync(path, '');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    makeDirectory(directory);
    writeFileSync(path, '');
  }
}

/** The first processes that use a store may make it at the same time. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o755 });
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
}

function releaseAll(): void {
  for (const path of held.keys()) remove(path);
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    // At the exit, its name tells that its process is gone. Before, it says too much, and nothing is lost by that.
    if (!isSystemError(error)) throw error;
  }
}

/** PIDs of the processes that hold leases, by image id. Removes the leases of processes that are gone. */
export function leasesOf(store: string): Map<string, number[]> {
  const directory = leaseDirectory(store);
  const leases = new Map<string, number[]>();
  for (const name of namesIn(directory)) {
    const [id = '', tag = ''] = name.split('.', 2);
    const path = join(directory, name);
    if (isOwnerGone(tag, () => ageOf(path))) {
      rmSync(path, { force: true });
    } else {
      leases.set(id, [...(leases.get(id) ?? []), Number(tag.split('-')[2])]);
    }
  }
  return leases;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

function ageOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? 0 : Date.now() - found.mtimeMs;
}
