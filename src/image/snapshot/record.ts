/**
 * Snapshots: machines saved when their init was ready and nothing was mounted. A warm start restores one. Each is a
 * directory `warm/NAME-GENERATION` of its boot image:
 *
 * - `memory`: the machine's memory, a sparse file. QEMU maps it copy-on-write, so pages are read on first use, and all
 *   sandboxes share the pages that none has changed. A machine whose memory virtiofsd shares gets a copy instead.
 * - `state`: its processor and devices, as QEMU writes them.
 * - `warm.json`: its record, which says what it is valid for.
 *
 * The files contain a machine's memory; only their owner can read them, and of root's the group of root's QEMUs.
 */

import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Slots, slotsText } from '../../config/parsers/slots.js';
import type { ScreenSize } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { isRecord, parseJson } from '../../util/records.js';
import { readRegular, UnreadableFile } from '../../util/regular-files.js';
import { sha256 } from '../manifest.js';
import { isOwnDirectory, ownIdentity } from '../store/checked.js';
import { imageIds } from '../store/open.js';
import { hasRecordFields } from './record-check.js';

/** Increase it when older snapshots must not be used any more, as with each version of the protocol of their init. */
const SNAPSHOT_FORMAT = 4;
export const SNAPSHOTS_DIRECTORY = 'warm';
export const SNAPSHOT_RECORD = 'warm.json';
/** New name of the record when the snapshot is retired: see generations.ts. */
export const RETIRED_RECORD = 'retired.json';
export const SNAPSHOT_MEMORY = 'memory';
export const SNAPSHOT_STATE = 'state';
/** The files of a record, in its order. */
const SNAPSHOT_FILES = [SNAPSHOT_MEMORY, SNAPSHOT_STATE];
/** The largest record that is read, in bytes. */
export const MOST_RECORD = 1 << 20;
/** The largest state that is taken from elsewhere, in bytes. A machine has some 0.4 MB of it. */
export const MOST_STATE = 64 << 20;
/** An empty directory, to serve in slots for mounts that a sandbox does not use. */
export const SNAPSHOT_EMPTY = 'empty';

/** A file of a snapshot, as it was when the machine was saved. */
export interface SnapshotFile {
  readonly name: string;
  /** See `identityOf`. */
  readonly identity: string;
  /** See `digestSparse`. */
  readonly digest: string;
}

/** What a host must have for a snapshot. */
export interface HostNeed {
  /** For people. */
  readonly text: string;
  /** Of the program's file; undefined for what is no file. A file with it serves, whatever its identity. */
  readonly sha256?: string;
}

/** What was done in a machine before it was saved. */
export interface PreparedFacts {
  /** The name of the image that starts from it name: without it nobody gets programs that they did not ask for. */
  readonly name: string;
  /** Of its root, and how that was set up: sandbox/snapshot/prepared.ts */
  readonly root: string;
  /** For people. */
  readonly command: string;
  /** The guest's number of the process that still runs; undefined: it has ended. */
  readonly process?: number | undefined;
  /** The signal by which that process is told that it was restored; undefined: none. */
  readonly notify?: number | undefined;
}

/** Describes a snapshot. It is valid only for a sandbox and a host that match it exactly. */
export interface SnapshotRecord {
  readonly format: number;
  /** Id of the boot image. */
  readonly image: string;
  /** Module sets of the boot image. */
  readonly sets: readonly string[];
  /** Size of the machine's memory in bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: 'kvm' | 'tcg';
  readonly slots: Slots;
  /** The machine has the device of a root over virtiofs, with its driver. Undefined: that of a root over 9p. */
  readonly root?: 'virtiofs' | undefined;
  /** The machine has a screen of this size, with its drivers. Undefined: none. */
  readonly screen?: ScreenSize | undefined;
  /** Its root is mounted, and programs have run. Undefined: its init waits for the first operation. */
  readonly prepared?: PreparedFacts | undefined;
  /** Hash of the domain's XML, without the parts that differ between sandboxes. */
  readonly machine: string;
  /** Arguments of its kernel, for people; the hash covers them too. Undefined in a record of an earlier version. */
  readonly kernelArguments?: string | undefined;
  /** Name or path of the profile that it booted by. Undefined in a record of an earlier version. */
  readonly profile?: string | undefined;
  /** Facts of the host, by name: programs, libraries, the processor. */
  readonly host: Readonly<Record<string, string>>;
  /** What another host must have, by the names of `host`. Undefined in a record of an earlier version. */
  readonly needs?: Readonly<Record<string, HostNeed>> | undefined;
  /** UID of the user who baked it. */
  readonly owner: number;
  readonly files: readonly SnapshotFile[];
  /** The init's message when it was ready; 64-bit numbers as text. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/** A snapshot that exists. Whether it is valid is not known yet. */
export interface Snapshot {
  readonly directory: string;
  readonly record: SnapshotRecord;
}

/** What it has for a sandbox, for people: `mounts=4, root over virtiofs, screen 1280x800, programs of web`. */
export function devicesText({
  slots,
  root,
  screen,
  prepared,
}: Pick<SnapshotRecord, 'slots' | 'root' | 'screen' | 'prepared'>): string {
  const ofRoot = root === undefined ? [] : [`root over ${root}`];
  const ofScreen = screen === undefined ? [] : [`screen ${screen.width}x${screen.height}`];
  const ofPrograms = prepared === undefined ? [] : [`programs of ${prepared.name}`];
  return [slotsText(slots), ...ofRoot, ...ofScreen, ...ofPrograms].join(', ');
}

/** The bytes of warm.json: the record's hash, then the record. */
export function snapshotRecordText(record: Omit<SnapshotRecord, 'format'>): string {
  return sealed(JSON.stringify({ format: SNAPSHOT_FORMAT, ...record }));
}

function sealed(content: string): string {
  return `${sha256(content)}\n${content}\n`;
}

/** Every readable snapshot of a boot image. */
export function snapshotsOf(imageDirectory: string): Snapshot[] {
  return snapshotDirectoriesOf(imageDirectory).flatMap((directory) => readSnapshot(directory) ?? []);
}

/** The directories of a boot image's snapshots, damaged and retired ones included. */
export function snapshotDirectoriesOf(imageDirectory: string): string[] {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  return valueOr(() => readdirSync(above), [])
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(above, name));
}

/** The snapshot in a directory; undefined if its record is missing, damaged or of another format. */
export function readSnapshot(directory: string): Snapshot | undefined {
  const record = readRecord(join(directory, SNAPSHOT_RECORD));
  return record && { directory, record };
}

/** Every readable snapshot of a store. One of another boot image than that of its directory is none. */
export function snapshotsIn(store: string): Snapshot[] {
  return imageIds(store).flatMap((id) => snapshotsOf(join(store, id)).filter(({ record }) => record.image === id));
}

/** Whether nobody but root and this user may change a snapshot, or put another in its place. */
export function isOwnSnapshot({ directory }: Snapshot): boolean {
  const directories = [directory, dirname(directory), dirname(dirname(directory))];
  const files = [...SNAPSHOT_FILES, SNAPSHOT_RECORD].map((name) => join(directory, name));
  return directories.every(isOwnDirectory) && files.every((path) => ownIdentity(path) !== undefined);
}

/** The files whose identity has changed since the machine was saved. */
export function changedFiles({ directory, record }: Snapshot): SnapshotFile[] {
  return record.files.filter(({ name, identity }) => identityOf(join(directory, name)) !== identity);
}

/** The record in a file; undefined if it is missing, damaged, or of another format. */
function readRecord(path: string): SnapshotRecord | undefined {
  const text = recordText(path);
  return text === undefined ? undefined : parseRecord(text);
}

/** The bytes of a record's file; undefined if it cannot be read, is no regular file, or is too large. */
export function recordText(path: string): string | undefined {
  try {
    return valueOr(() => readRegular(path, MOST_RECORD), undefined);
  } catch (error) {
    if (error instanceof UnreadableFile) return undefined;
    throw error;
  }
}

/** The record with those bytes; undefined if it is damaged, or of another format. */
export function parseRecord(text: string): SnapshotRecord | undefined {
  const [seal, content = ''] = text.split('\n');
  if (sha256(content) !== seal || text !== sealed(content)) return undefined;
  const record = parseJson(content);
  if (!isRecord(record) || record['format'] !== SNAPSHOT_FORMAT || !hasRecordFields(record, SNAPSHOT_FILES))
    return undefined;
  return record as unknown as SnapshotRecord;
}
