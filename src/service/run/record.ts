/**
 * What is known of the life of a service, in `service.json`, for other processes. It stays when the service has ended.
 * Only its user can enter the directory.
 */
import { chmodSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { shortageOf } from '../../util/shortage.js';
import { readPlainFile } from '../../util/small-files.js';
import { serviceError } from '../errors.js';

const RECORD_FILE = 'service.json';

/** What is written at once within the first so many bytes of a file is written as a whole, or not at all. */
const PAGE = 4096;

/** Of sentences, where there is no room for more. */
const SHORT_CHARACTERS = 200;

/** More than it can have. */
const MOST_BYTES = 1 << 20;

/**
 * - `waiting`: it has ended, and starts again in a moment.
 * - `stopped`: it has ended as it should.
 * - `failed`: it has ended otherwise, or did not start.
 */
export const PHASES = ['starting', 'running', 'stopping', 'waiting', 'stopped', 'failed'] as const;

export type Phase = (typeof PHASES)[number];

/** Phases that nobody holds. */
export const OVER: readonly Phase[] = ['stopped', 'failed'];

const text = v.string();
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const time = v.pipe(text, v.isoTimestamp());

const schema = v.object({
  version: v.literal(1),
  name: text,
  /** The process that holds it, as its claim says. */
  owner: text,
  pid: whole,
  /** The last one under which it was ready. Undefined: none was, or that of an older version is not known. */
  readyUnder: v.optional(text),
  /** The unit of the host's systemd that holds it; undefined: none. */
  unit: v.optional(text),
  /** Which of the managers. */
  manager: v.optional(v.picklist(['system', 'user'])),
  /** The URI that its file, who has started it, or the settings of libvirt name; undefined: they name none. */
  connect: v.optional(text),
  /** Milliseconds that its holder lets it take to end; undefined: that is of an older version. */
  stopTimeout: v.optional(whole),
  phase: v.picklist(PHASES),
  /** Since when it is in this phase. */
  since: time,
  /** When the sandbox that runs was started. */
  started: v.optional(time),
  /** When it is started again, of `waiting`. */
  again: v.optional(time),
  /** How often it was started again by itself. */
  restarts: whole,
  /** Undefined: it has no health command, or was not ready yet. */
  health: v.optional(
    v.object({ isWell: v.boolean(), failures: whole, said: v.optional(text), checked: v.optional(time) }),
  ),
  /** Why what it writes is not in its log now; undefined: it is. */
  unlogged: v.optional(text),
  /** The last time that it ended. */
  lastEnd: v.optional(
    v.object({
      at: time,
      why: v.picklist(['ended', 'stopped', 'unhealthy', 'failed']),
      exitCode: whole,
      signal: v.optional(text),
      /** In words. */
      text,
    }),
  ),
  /** Its ports on this host. */
  ports: v.array(v.object({ host: text, guestPort: whole, protocol: v.picklist(['tcp', 'udp']) })),
});

export type ServiceRecord = v.InferOutput<typeof schema>;

export type LastEnd = NonNullable<ServiceRecord['lastEnd']>;

/** The last end of a service that nobody holds. A holder that was killed could not record it. */
export function lastEndOf({ phase, since, lastEnd }: ServiceRecord): LastEnd | undefined {
  if (OVER.includes(phase)) return lastEnd;
  const text = 'the process that held it is gone: it was killed, or the host was';
  return { at: since, why: 'failed', exitCode: 137, text };
}

/** Makes the directory that the record and the log are in. @throws {SandboxError} `service-not-recorded` */
export function makeLife(path: string): void {
  try {
    makeDirectories(dirname(path), 0o755);
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
    }
    const found = lstatSync(path);
    if (!found.isDirectory() || found.uid !== process.geteuid?.()) throw new Error('it is no directory of this user');
    chmodSync(path, 0o700);
  } catch (error) {
    throw notRecorded(path, error);
  }
}

/** Removes it, with the log. */
export async function removeLife(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Writes it as a whole. @throws a system error */
export async function writeServiceRecord(path: string, record: ServiceRecord): Promise<void> {
  const file = join(path, RECORD_FILE);
  try {
    await replaceFile(file, JSON.stringify(record), { mode: 0o600 });
  } catch (error) {
    if (shortageOf(error) !== 'space' || !(await isWrittenOver(file, record))) throw error;
  }
}

/**
 * On a full disk the block of the record before is still there, but where a file system writes each block to a new place.
 * So the new one takes the place of its beginning, as a line: what stands behind that is not read. It is never torn,
 * since there is either room for all of it or for nothing. Who reads it at that moment may find half of it, and reads it
 * again: {@link readServiceRecord}.
 */
async function isWrittenOver(path: string, record: ServiceRecord): Promise<boolean> {
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size, blocks } = await file.stat();
      // What lies behind the end of a block of the file may be missing. Attributes may take some of what st_blocks counts.
      const { bsize } = await statfs(path);
      const most = Math.min(Math.ceil(size / bsize) * bsize, PAGE);
      const line = blocks === 0 ? undefined : lineWithin(record, most);
      if (line === undefined) return false;
      const whole = Buffer.alloc(Math.max(Math.min(size, PAGE), line.length), ' ');
      line.copy(whole);
      return (await file.write(whole, 0, whole.length, 0)).bytesWritten === whole.length;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

/** Its longest sentences are shortened if they have to be. */
function lineWithin(record: ServiceRecord, most: number): Buffer | undefined {
  const { lastEnd, health, unlogged } = record;
  const brief = {
    ...record,
    lastEnd: lastEnd && { ...lastEnd, text: shortened(lastEnd.text, SHORT_CHARACTERS) },
    health: health && { ...health, said: health.said && shortened(health.said, SHORT_CHARACTERS) },
    unlogged: unlogged && shortened(unlogged, SHORT_CHARACTERS),
  };
  return [record, brief].map((one) => Buffer.from(`${JSON.stringify(one)}\n`)).find(({ length }) => length <= most);
}

export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

/**
 * Reads what its user has written.
 * @returns undefined if there is none, or what is there is none
 */
export function readServiceRecord(path: string, name: string): ServiceRecord | undefined {
  const value = readValue(path) ?? readValue(path);
  const result = v.safeParse(schema, value, { abortEarly: true });
  return result.success && result.output.name === name ? result.output : undefined;
}

function readValue(path: string): unknown {
  try {
    const text = readPlainFile(join(path, RECORD_FILE), { most: MOST_BYTES, uid: process.geteuid?.() });
    const [line = ''] = text.split('\n', 1);
    return JSON.parse(line);
  } catch (error) {
    if (isSystemError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function notRecorded(path: string, cause: unknown) {
  return serviceError(
    'service-not-recorded',
    `what is known of a service cannot be kept in ${path}: ${messageOf(cause)}`,
    'make room, and look whose that directory is',
    cause,
  );
}
