/**
 * Leases: which images are in use, so that none is removed under a sandbox. A process that takes an image leaves an empty
 * file in the store whose name says image and process; it goes with the process, and one that was killed is told by its
 * name (owner.ts).
 *
 * A lease is taken before the image is looked at, and whoever removes an image moves it away before looking for leases:
 * so either sees the other.
 */

import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { isOwnerGone, ownerTag } from './owner.js';

const held = new Set<string>();

export function leaseDirectory(store: string): string {
  return join(store, '.leases');
}

/**
 * Says that this process uses image `id` of `store`, until it ends, and that it was used now. In a store that this user
 * cannot write to it does nothing: nobody but its owner can remove the image, and the owner sees the QEMU that uses it
 * (users.ts).
 */
export function leaseImage(store: string, id: string): void {
  const path = join(leaseDirectory(store), `${id}.${ownerTag()}`);
  try {
    if (!held.has(path)) {
      makeLease(path, leaseDirectory(store));
      if (held.size === 0) process.once('exit', releaseAll);
      held.add(path);
    }
    const now = new Date();
    // The time of the directory is the time of the last use: its entries never change.
    utimesSync(join(store, id), now, now);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

function makeLease(path: string, directory: string): void {
  try {
    writeFileSync(path, '');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    mkdirSync(directory, { mode: 0o755 });
    writeFileSync(path, '');
  }
}

function releaseAll(): void {
  for (const path of held) {
    try {
      rmSync(path, { force: true });
    } catch {
      // It is told by its name that nobody holds it any more.
    }
  }
}

/** The processes that hold leases, by the image's id. Leases of processes that are gone are removed. */
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
