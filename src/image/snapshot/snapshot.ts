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
const WARM_FORMAT = 2;
export const WARM_DIRECTORY = 'warm';
export const WARM_RECORD = 'warm.json';
/** What becomes of it when another machine takes this one's place: see warm-generations.ts. */
export const RETIRED_RECORD = 'retired.json';
export const WARM_MEMORY = 'memory';
export const WARM_STATE = 'state';
/** Served in a place that no sandbox has asked for. */
export const WARM_EMPTY = 'empty';

/** A file as it was when the machine was saved. */
export interface WarmFile {
  readonly name: string;
  /** See `identityOf`. */
  readonly identity: string;
  /** See `digestSparse`. */
  readonly digest: string;
}

/** What a saved machine is, and what it is valid for: exactly this. */
export interface WarmRecord {
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
  readonly files: readonly WarmFile[];
  /** What the init said when it was ready; 64-bit numbers as text. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/** A warm image that is there, and may be valid. */
export interface WarmImage {
  readonly directory: string;
  readonly record: WarmRecord;
}

/** The bytes of warm.json: the record under a seal. */
export function warmRecordText(record: Omit<WarmRecord, 'format'>): string {
  return sealed(JSON.stringify({ format: WARM_FORMAT, ...record }));
}

function sealed(content: string): string {
  return `${sha256(content)}\n${content}\n`;
}

/** Every warm image of a boot image. */
export function warmImagesOf(imageDirectory: string): WarmImage[] {
  return warmDirectoriesOf(imageDirectory).flatMap((directory) => readWarmImage(directory) ?? []);
}

/** The directories that warm images of a boot image are in, whole or not. */
export function warmDirectoriesOf(imageDirectory: string): string[] {
  const above = join(imageDirectory, WARM_DIRECTORY);
  return valueOr(() => readdirSync(above), [])
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(above, name));
}

/** The warm image in a directory; undefined where there is none, or one that is damaged or of another format. */
export function readWarmImage(directory: string): WarmImage | undefined {
  const record = readRecord(join(directory, WARM_RECORD));
  return record && { directory, record };
}

/** Every warm image of a store. */
export function warmImagesIn(store: string): WarmImage[] {
  return imageIds(store).flatMap((id) => warmImagesOf(join(store, id)));
}

/** The files that do not look as they did. */
export function changedFiles({ directory, record }: WarmImage): WarmFile[] {
  return record.files.filter(({ name, identity }) => identityOf(join(directory, name)) !== identity);
}

/** Undefined for what is not there, damaged, or of another format. */
function readRecord(path: string): WarmRecord | undefined {
  const text = readIfThere(path) ?? '';
  const [seal, content = ''] = text.split('\n');
  if (sha256(content) !== seal || text !== sealed(content)) return undefined;
  // The seal says that these are the bytes that this package wrote itself.
  const record: unknown = JSON.parse(content);
  return isRecord(record) && record['format'] === WARM_FORMAT ? (record as unknown as WarmRecord) : undefined;
}
