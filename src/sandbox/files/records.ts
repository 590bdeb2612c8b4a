/** The records of files and of changes, as programs of the init write them: docs/protocol.md. A guest may write anything. */
import { FieldReader, ProtocolError } from '../../protocol/fields.js';
import { textOf } from '../../util/raw-text.js';
import type { FileChange, FileEntry, FileStatus, FileType } from './types.js';

const MOST_NAME_BYTES = 255;
const MOST_TARGET_BYTES = 4096;
/** Of what changes below a directory. */
const MOST_PATH_BYTES = 4095;

/** The most milliseconds from 1970 that a Date holds, either way. */
const MOST_MILLISECONDS = 8.64e15;

const TYPES: ReadonlyMap<number, FileType> = new Map([
  [0o01, 'fifo'],
  [0o02, 'character-device'],
  [0o04, 'directory'],
  [0o06, 'block-device'],
  [0o10, 'file'],
  [0o12, 'link'],
  [0o14, 'socket'],
]);

const CHANGES = [undefined, 'create', 'modify', 'remove', 'rename-from', 'rename-to', 'overflow'] as const;

/** @throws {ProtocolError} for what is no record of an entry, or has a name that no entry has */
export function decodeEntry(record: Buffer): FileEntry {
  const { nameBytes, status } = decodeFile(record);
  if (nameBytes.length === 0) throw new ProtocolError('an entry without a name');
  return { name: nameIn(nameBytes), ...status };
}

/** @throws {ProtocolError} for what is no record of a file */
export function decodeStatus(record: Buffer): FileStatus {
  return decodeFile(record).status;
}

function decodeFile(record: Buffer): { nameBytes: Buffer; status: FileStatus } {
  const reader = new FieldReader(record);
  const nameBytes = reader.bytes();
  const bits = reader.u32();
  const [uid, gid] = [reader.u32(), reader.u32()];
  const size = Number(reader.u64());
  const modified = dateOf(BigInt.asIntN(64, reader.u64()), reader.u32());
  const target = reader.bytes();
  reader.end();
  if (target.length > MOST_TARGET_BYTES || target.includes(0)) throw new ProtocolError('a link to what is no path');
  const type = TYPES.get((bits >>> 12) & 0o17) ?? 'unknown';
  const status = { type, size, mode: bits & 0o7777, modified, uid, gid };
  return { nameBytes, status: type === 'link' ? { ...status, target: textOf(target) } : status };
}

/**
 * @returns undefined: from now on all changes are seen
 * @throws {ProtocolError} for what is no record of a change, or has a name that no entry has, and no path of such names
 */
export function decodeChange(record: Buffer): FileChange | undefined {
  const reader = new FieldReader(record);
  const [number, cookie] = [reader.u32(), reader.u32()];
  const nameBytes = reader.bytes();
  reader.end();
  if (number >= CHANGES.length) throw new ProtocolError(`a change ${number}`);
  const type = CHANGES[number];
  return type && { type, name: nameBytes.length === 0 ? '' : pathIn(nameBytes), cookie };
}

/** A path that leads down from the directory that is watched. */
function pathIn(bytes: Buffer): string {
  if (bytes.length > MOST_PATH_BYTES) throw new ProtocolError(`a path of ${bytes.length} bytes`);
  for (let at = 0; at <= bytes.length; ) {
    const slash = bytes.indexOf('/', at);
    const end = slash < 0 ? bytes.length : slash;
    if (end === at) throw new ProtocolError('a path with an empty name');
    nameIn(bytes.subarray(at, end));
    at = end + 1;
  }
  return textOf(bytes);
}

function nameIn(bytes: Buffer): string {
  const name = textOf(bytes);
  if (bytes.length > MOST_NAME_BYTES || bytes.includes(0) || name.includes('/') || name === '.' || name === '..')
    throw new ProtocolError(`an entry with the name ${JSON.stringify(name.slice(0, MOST_NAME_BYTES))}`);
  return name;
}

function dateOf(seconds: bigint, nanoseconds: number): Date {
  const milliseconds = Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6);
  return new Date(Math.max(-MOST_MILLISECONDS, Math.min(MOST_MILLISECONDS, milliseconds)));
}
