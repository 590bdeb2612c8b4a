/** Saves a snapshot, and publishes it atomically. */
import { chmod, chown, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../../util/directories.js';
import { identityOf } from '../../util/input-log.js';
import { sha256 } from '../manifest.js';
import { replaceDirectory } from '../store/replace.js';
import { diskFullError, storeError } from '../store/store.js';
import { syncToDisk } from '../store/sync.js';
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
} from './record.js';

/** The facts of a snapshot that are known when its files are written. */
export type SnapshotFacts = Omit<SnapshotRecord, 'format' | 'files'>;

/** Disk space that a machine of the default size takes while it is saved, in bytes. The snapshot itself takes less. */
const SAVED_BYTES = 100e6;

/** A file system with less free space than this counts as full, in bytes. */
const FULL_BYTES = 4 << 20;

/**
 * Saves a machine as a snapshot of an image. It replaces the image's snapshot for the same kind of machine.
 * @param save Writes the files `memory` and `state` into the given directory.
 * @param signal Cancels the work, until the snapshot is published.
 * @throws {SandboxError} `store-not-writable`, `disk-full`
 * @throws what `save` throws, or the signal's reason
 */
export async function publishSnapshot(
  imageDirectory: string,
  save: (directory: string) => Promise<SnapshotFacts>,
  signal?: AbortSignal,
): Promise<Snapshot> {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  try {
    makeDirectories(above);
    // QEMU's user must be able to enter, whatever the umask.
    await chmod(above, 0o755);
    await sweepSnapshots(imageDirectory);
    return await withWorkspace(above, async (workspace) => {
      // Other users, QEMU's among them, may enter but not list the directory.
      await chmod(workspace, 0o711);
      const facts = await save(workspace).catch(async (error: unknown) => {
        throw signal?.aborted !== true && (await isFull(workspace))
          ? diskFullError('a snapshot', imageDirectory, SAVED_BYTES, error)
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
 * True if the disk is full. A QEMU that finds no space for a page of its memory is killed by SIGBUS without a message.
 * So check after a failure, before the written files are removed.
 */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < FULL_BYTES;
}

/** The name that snapshots of the same kind of machine share. */
function nameOf({ machine, memory, vcpus, acceleration, slots, root, screen, prepared }: SnapshotFacts): string {
  // One for 9p replaces that of a version that knew no other.
  const others = [
    ...(root === undefined ? [] : [root]),
    ...(screen === undefined ? [] : [screen]),
    ...(prepared === undefined ? [] : [prepared.name, prepared.root]),
  ];
  const kind = [machine, memory, vcpus, acceleration, slots, ...others];
  return sha256(JSON.stringify(kind)).slice(0, 16);
}

/**
 * Makes a file read-only, waits until it is on the disk, and records its identity and digest. Root's belongs to root
 * then; only the group of root's QEMUs may read it.
 */
async function sealFile(directory: string, name: string): Promise<SnapshotFile> {
  const path = join(directory, name);
  const { uid, gid } = await stat(path);
  const isRoots = process.geteuid?.() === 0;
  if (isRoots && uid !== 0) await chown(path, 0, gid);
  await chmod(path, isRoots ? 0o440 : 0o400);
  await syncToDisk(path);
  return { name, identity: identityOf(path), digest: await digestSparse(path) };
}
