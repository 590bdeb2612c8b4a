/**
 * Copies the snapshots of an image in a directory outside the store into the copy of that image (store/import.ts), and
 * checks them. The directory may belong to somebody else.
 *
 * A copy is called after the record of the snapshot in the directory, which has the digests of its files. So a second
 * start copies nothing, and a start uses no snapshot but those that its own directory has.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { chmod, chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../../util/directories.js';
import { identityOf } from '../../util/input-log.js';
import { sha256 } from '../manifest.js';
import { copyChecked } from '../store/copy.js';
import type { OpenedImage } from '../store/import.js';
import { replaceDirectory } from '../store/replace.js';
import { storeError } from '../store/store.js';
import { syncToDisk } from '../store/sync.js';
import { sweepWorkspaces, withWorkspace } from '../store/workspace.js';
import { digestSparse } from './digest.js';
import { nextData } from './extents.js';
import {
  changedFiles,
  isOwnSnapshot,
  MOST_STATE,
  parseRecord,
  readSnapshot,
  recordText,
  SNAPSHOT_EMPTY,
  SNAPSHOT_MEMORY,
  SNAPSHOT_RECORD,
  SNAPSHOT_STATE,
  SNAPSHOTS_DIRECTORY,
  type Snapshot,
  type SnapshotFile,
  type SnapshotRecord,
  snapshotDirectoriesOf,
  snapshotRecordText,
} from './record.js';
import { isReadyRecord } from './record-check.js';

/** How many snapshots of a directory are looked at. */
const MOST_SNAPSHOTS = 100;

/** Which snapshots are copied, and for whom. */
export interface SnapshotWish {
  /** Whether a snapshot could serve. Only such are copied. */
  readonly serves: (record: SnapshotRecord) => boolean;
  /** The group that reads root's snapshots; undefined: the copies are this user's alone. */
  readonly readers: (record: SnapshotRecord) => number | undefined;
}

/** Copies of snapshots, and why others were not copied, as a part of a sentence. */
export interface ImportedSnapshots {
  readonly snapshots: readonly Snapshot[];
  readonly refused: readonly string[];
}

/**
 * @param from the directory of the image
 * @param image its copy
 * @throws {SandboxError} `store-not-writable`, `disk-full`
 */
export async function importSnapshots(
  from: string,
  image: OpenedImage,
  { serves, readers }: SnapshotWish,
): Promise<ImportedSnapshots> {
  const snapshots: Snapshot[] = [];
  const refused: string[] = [];
  for (const directory of snapshotDirectoriesOf(from).slice(0, MOST_SNAPSHOTS)) {
    const text = isDirectory(directory) ? recordText(join(directory, SNAPSHOT_RECORD)) : undefined;
    const record = text === undefined ? undefined : parseRecord(text);
    if (text === undefined || record === undefined || !isReadyRecord(record.ready)) continue;
    if (record.image !== image.manifest.id) {
      refused.push(`the snapshot ${directory} is of the boot image ${record.image}`);
    } else if (serves(record)) {
      const name = sha256(text);
      const target = join(image.directory, SNAPSHOTS_DIRECTORY, `${name.slice(0, 16)}-${name.slice(16, 24)}`);
      const problem = hasCopy(target) ? undefined : await copySnapshot(directory, record, readers(record), target);
      const copy = problem === undefined ? readSnapshot(target) : undefined;
      if (copy) snapshots.push(copy);
      else refused.push(`the snapshot ${directory} is damaged: ${problem ?? 'its copy is gone'}`);
    }
  }
  return { snapshots, refused };
}

/** True for a directory that is reached through no link below the image. */
function isDirectory(path: string): boolean {
  return [join(path, '..'), path].every((at) => lstatSync(at, { throwIfNoEntry: false })?.isDirectory() === true);
}

function hasCopy(target: string): boolean {
  const copy = readSnapshot(target);
  return copy !== undefined && isOwnSnapshot(copy) && changedFiles(copy).length === 0;
}

/** @returns what is wrong with the snapshot; undefined if `target` is a good copy now */
async function copySnapshot(
  from: string,
  record: SnapshotRecord,
  group: number | undefined,
  target: string,
): Promise<string | undefined> {
  const above = join(target, '..');
  try {
    makeDirectories(above, 0o755);
    // QEMU's user must be able to enter, whatever the umask.
    await chmod(above, 0o755);
    await sweepWorkspaces(above);
    return await withWorkspace(above, async (workspace) => {
      await chmod(workspace, 0o700);
      const files: SnapshotFile[] = [];
      for (const { name, digest } of record.files) {
        const problem = await copyFileOf(join(from, name), join(workspace, name), { record, digest, group });
        if (problem !== undefined) return `its file ${name} ${problem}`;
        files.push({ name, digest, identity: identityOf(join(workspace, name)) });
      }
      mkdirSync(join(workspace, SNAPSHOT_EMPTY));
      await chmod(join(workspace, SNAPSHOT_EMPTY), 0o555);
      const text = snapshotRecordText({ ...record, files });
      await writeFile(join(workspace, SNAPSHOT_RECORD), text, { mode: 0o600, flush: true });
      await chmod(workspace, 0o711);
      await replaceDirectory(workspace, target);
      return undefined;
    });
  } catch (error) {
    throw storeError(error, above, record.memory);
  }
}

/** Copies one file. @returns what is wrong with it */
async function copyFileOf(
  from: string,
  to: string,
  { record, digest, group }: { record: SnapshotRecord; digest: string; group: number | undefined },
): Promise<string | undefined> {
  const name = from.slice(from.lastIndexOf('/') + 1);
  const size = name === SNAPSHOT_MEMORY ? record.memory : lstatSync(from, { throwIfNoEntry: false })?.size;
  if (size === undefined) return 'is missing';
  if (name === SNAPSHOT_STATE && size > MOST_STATE) return `is larger than ${MOST_STATE} bytes`;
  const problem = await copyChecked(from, to, { size, digest, digestOf: digestSparse, nextData });
  if (problem !== undefined) return problem;
  if (group !== undefined) await chown(to, 0, group);
  await chmod(to, group === undefined ? 0o400 : 0o440);
  await syncToDisk(to);
  return undefined;
}
