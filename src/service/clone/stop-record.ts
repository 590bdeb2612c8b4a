/**
 * `stopped-for.json` beside the record of a service's life: it was stopped to be copied, and is to be started again. It
 * stays if the process that copies it is killed, so whoever comes next knows.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { startTime } from '../../sandbox/state/state-directory.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { readPlainFile } from '../../util/small-files.js';
import { findHolder } from '../run/claim.js';
import type { LastRun } from '../run/last-run.js';
import { OVER, readServiceRecord } from '../run/record.js';
import type { Service } from '../types.js';
import type { StopRecord } from './source.js';

const FILE = 'stopped-for.json';
const MOST_BYTES = 4096;

const schema = v.object({
  version: v.literal(1),
  /** What it was stopped for, as the end of a sentence. */
  purpose: v.string(),
  /** Who copies it: process ID and start. */
  maker: v.pipe(v.string(), v.regex(/^\d+ \d+$/)),
  /** Who held the service until then, as its record says. */
  owner: v.string(),
  /** The last one under which it was ready then. If it was so under another since then, somebody has started it. */
  readyUnder: v.optional(v.string()),
  /** How it ran, and is to run again. */
  ran: v.object({ connect: v.optional(v.string()), unit: v.optional(v.string()) }),
});

type StopFile = v.InferOutput<typeof schema>;

/** A service that may be stopped to be copied. */
export interface Stopped {
  readonly name: string;
  /** Directory of its record. */
  readonly life: string;
}

/** @param purpose what a source is stopped for, as the end of a sentence: `to be exported` */
export function stopRecordOf({ name, paths: { life } }: Pick<Service, 'name' | 'paths'>, purpose: string): StopRecord {
  const stopped = { name, life };
  return {
    left: stopLeft(stopped)?.ran,
    record: (ran) => recordStop(stopped, purpose, ran),
    forget: () => forgetStop(stopped),
  };
}

/** Records that a service is about to be stopped. What nobody has recorded a life of is passed over. */
async function recordStop({ name, life }: Stopped, purpose: string, ran: LastRun): Promise<void> {
  const known = readServiceRecord(life, name);
  if (known === undefined) return;
  const maker = `${process.pid} ${startTime(process.pid)}`;
  const { owner, readyUnder } = known;
  const record: StopFile = { version: 1, purpose, maker, owner, readyUnder, ran };
  await replaceFile(join(life, FILE), JSON.stringify(record), { mode: 0o600, flush: true });
}

export async function forgetStop({ life }: Pick<Stopped, 'life'>): Promise<void> {
  await rm(join(life, FILE), { force: true });
}

/**
 * What the service was stopped for by a process that was killed since then, and how it ran. Undefined: nothing, or
 * somebody has started the service.
 */
export function stopLeft({ name, life }: Stopped): Pick<StopFile, 'purpose' | 'ran'> | undefined {
  const found = read(life);
  if (found === undefined || findHolder(name) !== undefined) return undefined;
  const record = readServiceRecord(life, name);
  if (record === undefined || !OVER.includes(record.phase)) return undefined;
  // Who was killed while it started the service again has ended that start, too: it was not ready then. One that was
  // stopped while it started may have been ready a moment before.
  if (![found.owner, found.readyUnder].includes(record.readyUnder)) return undefined;
  const [pid, start] = found.maker.split(' ');
  return valueOr(() => startTime(Number(pid)), undefined) === start ? undefined : found;
}

function read(life: string): StopFile | undefined {
  try {
    const text = readPlainFile(join(life, FILE), { most: MOST_BYTES, uid: process.geteuid?.() });
    const result = v.safeParse(schema, JSON.parse(text), { abortEarly: true });
    return result.success ? result.output : undefined;
  } catch (error) {
    if (isSystemError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
