/** Putting a warm image where it is found: whole or not at all. */
import { chmod, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../../util/directories.js';
import { identityOf } from '../../util/input-log.js';
import { sha256 } from '../manifest.js';
import { replaceDirectory } from '../store/replace.js';
import { diskFullError, storeError, syncToDisk } from '../store/store.js';
import { withWorkspace } from '../store/workspace.js';
import { digestSparse } from './digest.js';
import { nextGeneration, retireOthers, sweepSnapshots } from './generations.js';
import {
  readSnapshot,
  SNAPSHOT_MEMORY,
  SNAPSHOT_RECORD,
  SNAPSHOT_STATE,
  SNAPSHOTS_DIRECTORY,
  type Snapshot,
  type SnapshotFile,
  type SnapshotRecord,
  snapshotRecordText,
} from './snapshot.js';

/** What is known of a saved machine when its files are written. */
export type SnapshotFacts = Omit<SnapshotRecord, 'format' | 'files'>;

/** What a machine of the usual size takes on the disk while it is saved; afterwards it is less. */
const SAVED_BYTES = 100e6;

/** A file system with less than this may have no room for one more page. */
const FULL_BYTES = 4 << 20;

/**
 * Saves a machine into the warm directory of an image, in the place of one that was saved there for the same.
 * @param save writes the files `memory` and `state` of the directory that it is given
 * @param signal calls it off until the machine is where it is found
 * @throws {SandboxError} what `save` throws; `store-not-writable`, `disk-full`; the signal's reason
 */
export async function publishSnapshot(
  imageDirectory: string,
  save: (directory: string) => Promise<SnapshotFacts>,
  signal?: AbortSignal,
): Promise<Snapshot> {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  try {
    makeDirectories(above);
    // The user of QEMU must pass, whatever the umask.
    await chmod(above, 0o755);
    await sweepSnapshots(imageDirectory);
    return await withWorkspace(above, async (workspace) => {
      // Others may pass, as the user of QEMU must, and not look around.
      await chmod(workspace, 0o711);
      const facts = await save(workspace).catch(async (error: unknown) => {
        throw signal?.aborted !== true && (await isFull(workspace))
          ? diskFullError('a saved machine', imageDirectory, SAVED_BYTES, error)
          : error;
      });
      const files = [await sealFile(workspace, SNAPSHOT_MEMORY), await sealFile(workspace, SNAPSHOT_STATE)];
      const record = { ...facts, files };
      await writeFile(join(workspace, SNAPSHOT_RECORD), snapshotRecordText(record), { mode: 0o600, flush: true });
      const target = nextGeneration(imageDirectory, nameOf(facts));
      signal?.throwIfAborted();
      await replaceDirectory(workspace, target);
      const made = readSnapshot(target);
      if (made === undefined) throw new Error(`${target} cannot be read again`);
      await retireOthers(imageDirectory, target);
      await sweepSnapshots(imageDirectory);
      return made;
    });
  } catch (error) {
    throw storeError(error, imageDirectory);
  }
}

/**
 * Whether the disk is full. A QEMU that writes to its memory and finds no room there is killed (SIGBUS) and says nothing; so after a failure this is
 * looked at, while what was written is still there.
 */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < FULL_BYTES;
}

/** One warm image for each machine that can be asked for. */
function nameOf({ machine, memory, vcpus, acceleration, slots }: SnapshotFacts): string {
  return sha256(JSON.stringify([machine, memory, vcpus, acceleration, slots])).slice(0, 16);
}

/** Waits until the file is on the disk, and notes what it is. Nobody writes to it any more. */
async function sealFile(directory: string, name: string): Promise<SnapshotFile> {
  const path = join(directory, name);
  await chmod(path, 0o400);
  await syncToDisk(path);
  return { name, identity: identityOf(path), digest: await digestSparse(path) };
}
