/** What files there are inside. */
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError } from '../../util/errors.js';
import { type FileAccess, type FileProgram, outputOf } from './access.js';
import { fileError, tooLargeError } from './errors.js';
import { decodeEntry, decodeStatus, RecordParser } from './records.js';
import { checkFileCall } from './schema.js';
import type { FileEntry, FileOptions, FileStatus, StatOptions } from './types.js';

/** Of the records of a directory: about half a million entries. */
const MOST_BYTES = 64 << 20;

/** @throws as `Files.list` */
export async function listDirectory(access: FileAccess, path: string, options: FileOptions): Promise<FileEntry[]> {
  checkFileCall('other', [path], options);
  const program = { argv: ['list', path], action: 'list', path };
  const entries = await recordsOf(access, program, options, decodeEntry);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws as `Files.stat` */
export async function statFile(access: FileAccess, path: string, options: StatOptions): Promise<FileStatus> {
  checkFileCall('stat', [path], options);
  const { followLinks = true } = options;
  const program = { argv: ['stat', path, followLinks ? '1' : '0'], action: 'look at', path };
  const [status, ...others] = await recordsOf(access, program, options, decodeStatus);
  if (status === undefined || others.length > 0)
    throw fileError(new ProtocolError(`${others.length + (status ? 1 : 0)} records for one file`), program);
  return status;
}

/** @throws as `Files.exists` */
export async function fileExists(access: FileAccess, path: string, options: FileOptions): Promise<boolean> {
  checkFileCall('other', [path], options);
  try {
    await statFile(access, path, options);
    return true;
  } catch (error) {
    if (error instanceof SandboxError && (error.code === 'file-not-found' || error.code === 'not-a-directory'))
      return false;
    throw error;
  }
}

async function recordsOf<T>(
  access: FileAccess,
  program: FileProgram,
  options: FileOptions,
  decode: (record: Buffer) => T,
): Promise<T[]> {
  const remedy = 'have a program inside list it, such as find, and take its output from spawn()';
  const bytes = await outputOf(access, program, options, MOST_BYTES, () => tooLargeError(program, MOST_BYTES, remedy));
  try {
    const parser = new RecordParser();
    const records = parser.push(bytes).map(decode);
    parser.end();
    return records;
  } catch (error) {
    throw fileError(error, program);
  }
}
