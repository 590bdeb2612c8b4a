/**
 * `stopped-for.json` beside the record of a service's life: it was stopped to be cloned, and is to be started again. It
 * stays if the process that makes the clone is killed, so whoever comes next knows.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { startTime } from '../../sandbox/state/state-directory.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { readPlainFile } from '../../util/small-files.js';
import { findHolder } from '../run/claim.js';
import { OVER, readServiceRecord } from '../run/record.js';

const FILE = 'stopped-for.json';
const MOST_BYTES = 4096;

const schema = v.object({
  version: v.literal(1),
  clone: v.string(),
  /** Who makes it: process ID and start. */
  maker: v.pipe(v.string(), v.regex(/^\d+ \d+$/)),
  /** Who held the service until then, as its record says: another one since then means that it was started. */
  owner: v.string(),
});

export interface Stopped {
  readonly name: string;
  /** Directory of its record. */
  readonly life: string;
}

/** Records that a service is about to be stopped. What nobody has recorded a life of is passed over. */
export async function recordStop({ name, life }: Stopped, clone: string): Promise<void> {
  const owner = readServiceRecord(life, name)?.owner;
  if (owner === undefined) return;
  const record = { version: 1, clone, maker: `${process.pid} ${startTime(process.pid)}`, owner };
  await replaceFile(join(life, FILE), JSON.stringify(record), { mode: 0o600, flush: true });
}

export async function forgetStop({ life }: Pick<Stopped, 'life'>): Promise<void> {
  await rm(join(life, FILE), { force: true });
}

/**
 * The clone for which the service was stopped by a process that was killed since then. Undefined: none, or somebody has
 * started the service.
 */
export function cloneThatStopped({ name, life }: Stopped): string | undefined {
  const found = read(life);
  if (found === undefined || findHolder(name) !== undefined) return undefined;
  const record = readServiceRecord(life, name);
  if (record === undefined || record.owner !== found.owner || !OVER.includes(record.phase)) return undefined;
  const [pid, start] = found.maker.split(' ');
  return valueOr(() => startTime(Number(pid)), undefined) === start ? undefined : found.clone;
}

function read(life: string): v.InferOutput<typeof schema> | undefined {
  try {
    const text = readPlainFile(join(life, FILE), { most: MOST_BYTES, uid: process.geteuid?.() });
    const result = v.safeParse(schema, JSON.parse(text), { abortEarly: true });
    return result.success ? result.output : undefined;
  } catch (error) {
    if (isSystemError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
