/**
 * Marks of file systems that are being removed. One who starts a sandbox has no lock of the store, since it would have
 * to wait for all that is removed or verified. So no file system moves away that somebody has found under a lease:
 *
 *     one who starts                               one who removes, alone in the store (store-lock.ts)
 *     1. writes a lease                            a. makes the mark, and locks it
 *     2. looks for the mark; if it is there,       b. looks for leases: with one the file system stays
 *        waits until nobody has it locked          c. moves the file system away
 *     3. looks at the file system                  d. removes the mark
 *
 * If 2 is before a, then 1 is before b, and nothing is moved. If 2 is behind a, then 3 is behind d. So nothing is moved
 * behind 3, until the lease is given back. The remover never waits for a lease, so neither waits for the other.
 *
 * A remover that is killed loses its lock. Before c the file system is where it was; behind c nobody has found it. Its
 * mark stays, and makes nobody wait. The next who removes that file system, or prunes, removes the mark: only those do,
 * who have the store alone, so no mark goes that another one has just made.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { isNotOurs } from '../../image/store/lease.js';
import { isSystemError } from '../../util/errors.js';
import { lockOpenFile, withLock } from '../lock.js';
import type { StorePaths } from './store-paths.js';

/**
 * Runs `work` while whoever starts with the file system `id` waits. It has to be short.
 * @throws what `work` throws, and the error of a system call
 */
export async function withRemovalMark<T>(paths: StorePaths, id: string, work: () => Promise<T>): Promise<T> {
  const mark = paths.removalMark(id);
  return withLock(mark, 'exclusive', {}, async () => {
    try {
      return await work();
    } finally {
      await rm(mark, { force: true });
    }
  });
}

/**
 * Waits until nobody who has not seen this process's lease removes the file system `id`.
 * @throws {SandboxError} `aborted`
 */
export async function untilDecided(paths: StorePaths, id: string, signal: AbortSignal | undefined): Promise<void> {
  const file = await openMark(paths.removalMark(id));
  if (file === undefined) return;
  try {
    await lockOpenFile(file, 'shared', { signal });
  } finally {
    await file.close();
  }
}

async function openMark(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    // Whoever removes in somebody else's store does not see a lease of this user anyway.
    if (isSystemError(error, 'ENOENT') || isNotOurs(error)) return undefined;
    throw error;
  }
}
