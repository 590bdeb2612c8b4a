/**
 * Warm images: machines that were saved when they were ready to be told what to do. Each is a directory `warm/NAME-GENERATION` of its boot image:
 *
 * - `memory`: the machine's memory, a sparse file. QEMU maps it copy on write, so that nothing is read before it is used, and what no sandbox
 *   changes is there once for all of them; but for one whose memory virtiofsd works on too, which gets a copy.
 * - `state`: its processor and devices, as QEMU writes them.
 * - `warm.json`: what it is valid for.
 *
 * They hold a machine's memory, and are readable for nobody but the user that QEMU runs as.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { isRecord } from '../../util/records.js';
import { readIfThere } from '../../util/small-files.js';
import { sha256 } from '../manifest.js';
import { imageIds } from '../store/open.js';

/** Changes whenever older warm images are not to be used any more. */
const SNAPSHOT_FORMAT = 2;
export const SNAPSHOTS_DIRECTORY = 'warm';
export const SNAPSHOT_RECORD = 'warm.json';
/** What becomes of it when another machine takes this one's place: see warm-generations.ts. */
export const RETIRED_RECORD = 'retired.json';
export const SNAPSHOT_MEMORY = 'memory';
export const SNAPSHOT_STATE = 'state';
/** Served in a place that no sandbox has asked for. */
export const SNAPSHOT_EMPTY = 'empty';

/** A file as it was when the machine was saved. */
export interface SnapshotFile {
  readonly name: string;
  /** See `identityOf`. */
  readonly identity: string;
  /** See `digestSparse`. */
  readonly digest: string;
}

/** What a saved machine is, and what it is valid for: exactly this. */
export interface SnapshotRecord {
  readonly format: number;
  /** The boot image. */
  readonly image: string;
  /** Its module sets. */
  readonly sets: readonly string[];
  /** In bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: 'kvm' | 'tcg';
  readonly slots: Slots;
  /** Hash of the domain's XML, less what differs from sandbox to sandbox. */
  readonly machine: string;
  /** What its kernel was told, for people; the hash has it too. Undefined in a record of an earlier version. */
  readonly kernelArguments?: string | undefined;
  /** How it boots: the name of a profile, or its path. Undefined in a record of an earlier version. */
  readonly profile?: string | undefined;
  /** Programs, libraries and the host's processor: what is asked, and what the answer was. */
  readonly host: Readonly<Record<string, string>>;
  /** The user that QEMU runs as. */
  readonly owner: number;
  readonly files: readonly SnapshotFile[];
  /** What the init said when it was ready; 64-bit numbers as text. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/** A warm image that is there, and may be valid. */
export interface Snapshot {
  readonly directory: string;
  readonly record: SnapshotRecord;
}

/** The bytes of warm.json: the record under a seal. */
export function snapshotRecordText(record: Omit<SnapshotRecord, 'format'>): string {
  return sealed(JSON.stringify({ format: SNAPSHOT_FORMAT, ...record }));
}

function sealed(content: string): string {
  return `${sha256(content)}\n${content}\n`;
}

/** Every warm image of a boot image. */
export function snapshotsOf(imageDirectory: string): Snapshot[] {
  return snapshotDirectoriesOf(imageDirectory).flatMap((directory) => readSnapshot(directory) ?? []);
}

/** The directories that warm images of a boot image are in, whole or not. */
export function snapshotDirectoriesOf(imageDirectory: string): string[] {
  const above = join(imageDirectory, SNAPSHOTS_DIRECTORY);
  return valueOr(() => readdirSync(above), [])
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(above, name));
}

/** The warm image in a directory; undefined where there is none, or one that is damaged or of another format. */
export function readSnapshot(directory: string): Snapshot | undefined {
  const record = readRecord(join(directory, SNAPSHOT_RECORD));
  return record && { directory, record };
}

/** Every warm image of a store. */
export function snapshotsIn(store: string): Snapshot[] {
  return imageIds(store).flatMap((id) => snapshotsOf(join(store, id)));
}

/** The files that do not look as they did. */
export function changedFiles({ directory, record }: Snapshot): SnapshotFile[] {
  return record.files.filter(({ name, identity }) => identityOf(join(directory, name)) !== identity);
}

/** Undefined for what is not there, damaged, or of another format. */
function readRecord(path: string): SnapshotRecord | undefined {
  const text = readIfThere(path) ?? '';
  const [seal, content = ''] = text.split('\n');
  if (sha256(content) !== seal || text !== sealed(content)) return undefined;
  // The seal says that these are the bytes that this package wrote itself.
  const record: unknown = JSON.parse(content);
  return isRecord(record) && record['format'] === SNAPSHOT_FORMAT ? (record as unknown as SnapshotRecord) : undefined;
}
