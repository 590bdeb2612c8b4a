/** What is on record about a pool: `pool.json` in its directory. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { isSystemError } from '../../util/errors.js';
import { readPlainFile } from '../../util/small-files.js';
import { RecordError } from '../record.js';

const RECORD_FILE = 'pool.json';

/** More than a command line that Linux takes, as JSON. */
const MOST_BYTES = 16 << 20;

const schema = v.object({
  version: v.literal(1),
  name: v.string(),
  /** The process that holds the pool. */
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** When its first sandbox waited: ISO 8601, UTC. */
  created: v.pipe(v.string(), v.isoTimestamp()),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** Options of virt-sandbox, which its sandboxes are started with. */
  options: v.array(v.string()),
});

export type PoolRecord = v.InferOutput<typeof schema>;

/**
 * Puts a pool on record, whole or not at all. Only its user can read it: options have the values of variables.
 * @throws a system error
 */
export function writePoolRecord(directory: string, record: PoolRecord): void {
  const path = join(directory, RECORD_FILE);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600, flag: 'wx' });
  renameSync(`${path}.new`, path);
}

/** @throws {RecordError} if there is none, or what is there is none */
export function readPoolRecord(directory: string): PoolRecord {
  try {
    const value: unknown = JSON.parse(readPlainFile(join(directory, RECORD_FILE), { most: MOST_BYTES }));
    return v.parse(schema, value, { abortEarly: true });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw new RecordError('it is not on record');
    if (isSystemError(error) || error instanceof SyntaxError || error instanceof v.ValiError)
      throw new RecordError(`its record is not readable: ${error.message}`);
    throw error;
  }
}
