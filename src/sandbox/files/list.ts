/** What files there are inside. */
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError } from '../../util/errors.js';
import { type FileAccess, type FileProgram, runToEnd } from './access.js';
import { fileError, tooLargeError } from './errors.js';
import { RecordParser } from './record-parser.js';
import { decodeEntry, decodeStatus } from './records.js';
import { checkFileCall } from './schema.js';
import type { FileEntry, FileOptions, FileStatus, StatOptions } from './types.js';

/** Of the records of a directory. */
const MOST_BYTES = 64 << 20;
const MOST_ENTRIES = 500_000;

/** @throws as `Files.list` */
export async function listDirectory(access: FileAccess, path: string, options: FileOptions): Promise<FileEntry[]> {
  checkFileCall('other', [path], options);
  const program = { argv: ['list', path], paths: [path], action: 'list', path };
  const entries = await recordsOf(access, program, options, decodeEntry);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws as `Files.stat` */
export async function statFile(access: FileAccess, path: string, options: StatOptions): Promise<FileStatus> {
  checkFileCall('stat', [path], options);
  const { followLinks = true } = options;
  const program = { argv: ['stat', path, followLinks ? '1' : '0'], paths: [path], action: 'look at', path };
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
  const parser = new RecordParser();
  const records: T[] = [];
  let bytes = 0;
  await runToEnd(access, program, options, (chunk) => {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw tooLargeError(program, `${MOST_BYTES} bytes`, remedy);
    for (const record of parser.push(chunk)) {
      if (records.length === MOST_ENTRIES) throw tooLargeError(program, `${MOST_ENTRIES} entries`, remedy);
      records.push(decode(record));
    }
  });
  try {
    parser.end();
  } catch (error) {
    throw fileError(error, program);
  }
  return records;
}
