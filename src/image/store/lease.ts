/**
 * Leases say which images are in use, so that no image is removed under a sandbox. A process that uses an image keeps
 * an empty file in the store, whose name has the image and the process, however often it uses the image. The process
 * removes it with its last use, or when it exits; the lease of a killed process is recognized by its name (owner.ts).
 * For those who cannot look the process up, its time says that the process lives, so it is touched while it is held.
 *
 * A process takes the lease before it looks at the image. A remover moves the image away before it looks for leases. So
 * one of the two always sees the other. File systems of OCI images are never moved away under a lease
 * (oci/store/removal-mark.ts).
 */

import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { FOREIGN_AGE, isOwnerGone, ownerTag } from './owner.js';

/** Errors of a store that belongs to somebody else. */
const NOT_OURS = ['EACCES', 'EPERM', 'EROFS'];

/** Milliseconds between two touches of a lease. */
const TOUCH_INTERVAL = FOREIGN_AGE / 24;

/** The leases that this process has, by the path of their file. */
const held = new Map<string, { uses: number; readonly touching: NodeJS.Timeout }>();
let isReleasedAtExit = false;

export function leaseDirectory(store: string): string {
  return join(store, '.leases');
}

/** True for the error of a system call on a store that this user cannot write to. */
export function isNotOurs(error: unknown): boolean {
  return NOT_OURS.some((code) => isSystemError(error, code));
}

/**
 * Takes a lease on image `id` of `store`, and sets the time of its last use to now. Does nothing in a store that this
 * user cannot write to: only the store's owner can remove the image there, and the owner sees the QEMU that uses it
 * (inspect/users.ts). Does nothing where there is no store.
 * @returns gives the lease back. Without that it lasts until this process ends
 * @throws {SandboxError} `disk-full`, `store-not-writable`: the store's owner could remove the image
 */
export function leaseImage(store: string, id: string): () => void {
  const path = join(leaseDirectory(store), `${id}.${ownerTag()}`);
  let isHeld = false;
  try {
    takeLease(path, leaseDirectory(store));
    isHeld = true;
  } catch (error) {
    if (!isNotOurs(error) && !isSystemError(error, 'ENOENT')) throw leaseError(error, store);
  }
  if (isHeld) noteUse(join(store, id));
  return () => {
    if (isHeld) dropLease(path);
    isHeld = false;
  };
}

/** The directory's entries never change, so its modification time serves as the time of the last use. */
function noteUse(directory: string): void {
  try {
    const now = new Date();
    utimesSync(directory, now, now);
  } catch (error) {
    // There may be no image yet; and nobody depends on that time.
    if (!isSystemError(error)) throw error;
  }
}

function leaseError(error: unknown, store: string): unknown {
  if (!isSystemError(error)) return error;
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new SandboxError({
    stage: 'image',
    code: isFull ? 'disk-full' : 'store-not-writable',
    message: `no lease of the image can be written to ${leaseDirectory(store)} (${error.code})`,
    remedy: isFull
      ? 'free some space there, or set XDG_CACHE_HOME to a directory with space'
      : 'see what is wrong with that directory, or set XDG_CACHE_HOME to another one',
    cause: error,
  });
}

function takeLease(path: string, directory: string): void {
  const lease = held.get(path);
  if (lease === undefined) {
    makeLease(path, directory);
    held.set(path, { uses: 1, touching: setInterval(() => touch(path, directory), TOUCH_INTERVAL).unref() });
  } else lease.uses += 1;
  if (isReleasedAtExit) return;
  isReleasedAtExit = true;
  process.once('exit', releaseAll);
}

function dropLease(path: string): void {
  const lease = held.get(path);
  if (lease === undefined) return;
  lease.uses -= 1;
  if (lease.uses > 0) return;
  clearInterval(lease.touching);
  held.delete(path);
  remove(path);
}

/** Shows those who cannot look this process up that it lives. */
function touch(path: string, directory: string): void {
  try {
    // Somebody may have removed it while this host slept.
    makeLease(path, directory);
    const now = new Date();
    utimesSync(path, now, now);
  } catch (error) {
    // The next time may be soon enough.
    if (!isSystemError(error)) throw error;
  }
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
