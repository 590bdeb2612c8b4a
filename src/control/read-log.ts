/** Reads the log of a detached sandbox, or of a service, while it is written. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError, SandboxError, valueOr } from '../util/errors.js';
import { controlError } from './errors.js';
import { LOG_FILE, type LogRecord, NEXT_LOG_FILE, OLDER_LOG_FILE, type ReadLogOptions } from './log.js';
import { LogFile } from './log-file.js';
import { countLines, SkippedLines } from './log-lines.js';
import { openState } from './open-state.js';

/** How often to look for more, in milliseconds. */
const LOOK_MS = 100;

/**
 * What the application of a detached sandbox has written. A log is cut at 16 MiB: what is older is gone. A reader that
 * is slower than the application misses what was cut meanwhile.
 * @param sandbox as `findRunning` returns it
 * @throws {SandboxError} `no-log` if it is not detached; `control-failed`
 */
export async function* readLog(sandbox: RunningSandbox, options: ReadLogOptions = {}): AsyncGenerator<LogRecord> {
  const { name, user } = sandbox;
  yield* readLogIn({ name, uid: user?.uid, open: () => openState(sandbox), missing: () => noLog(name) }, options);
}

/** A log, and whose it is. */
export interface LogSource {
  readonly name: string;
  /** Whose files they must be; undefined: anyone's. */
  readonly uid: number | undefined;
  /** Opens the directory. @throws a system error */
  open(): number;
  /** The error if there is no log. */
  missing(): SandboxError;
  /** Whether nothing is written any more although the log stays. Default: it goes with who writes it. */
  isOver?(): boolean;
}

/**
 * What is in a log, as {@link readLog}.
 * @throws {SandboxError} `control-failed`, and `source.missing()`
 */
export async function* readLogIn(source: LogSource, options: ReadLogOptions): AsyncGenerator<LogRecord> {
  const { since, tail, follow = false, signal } = options;
  const counts = ({ time }: LogRecord) => since === undefined || time >= since;
  const directory = open(source);
  const reader = new LogReader(`/proc/self/fd/${directory}`, source, follow);
  try {
    reader.begin();
    // Count first and skip then: nothing has to be kept, however long the log is.
    const skipped = new SkippedLines(tail === undefined ? 0 : countLines(filtered(reader.allNow(), counts)) - tail);
    for (;;) {
      for (const record of filtered(reader.lines(), counts)) if (skipped.isBehind(record)) yield record;
      if (signal?.aborted) return;
      const next = reader.next();
      if (next === 'ended') return;
      if (next === 'none') await delay(LOOK_MS, undefined, { ...(signal ? { signal } : {}) }).catch(() => {});
    }
  } finally {
    reader.close();
    closeSync(directory);
  }
}

function* filtered(records: Iterable<LogRecord>, counts: (record: LogRecord) => boolean): Generator<LogRecord> {
  for (const record of records) if (counts(record)) yield record;
}

/**
 * Reads the files one after the other. Each is open before it is written: the last one may be removed as soon as it has
 * something in it.
 */
class LogReader {
  readonly #directory: string;
  readonly #source: LogSource;
  readonly #follow: boolean;
  /** The first is being read. The others come after it. */
  readonly #files: LogFile[] = [];
  /** Read before the first. It is open so that no other file gets its inode. */
  #done: LogFile | undefined;
  /** Nothing is written to the first any more. It is still to be read to its end. */
  #isComplete = false;

  /** @param follow whether files are read that are not there when it begins */
  constructor(directory: string, source: LogSource, follow: boolean) {
    this.#directory = directory;
    this.#source = source;
    this.#follow = follow;
  }

  /** @throws {SandboxError} that there is no log */
  begin(): void {
    this.#look();
    if (this.#files.length === 0) throw this.#source.missing();
    // An application that writes all the time would keep a reader for ever.
    if (!this.#follow) for (const file of this.#files) file.endHere();
  }

  /** What is in all files now. {@link lines} begins with it again. */
  *allNow(): Generator<LogRecord> {
    for (const file of this.#files) {
      yield* file.lines();
      file.rewind();
    }
  }

  *lines(): Generator<LogRecord> {
    yield* this.#files[0]?.lines() ?? [];
  }

  /**
   * Goes on to what is next.
   * @returns `none`: there is nothing yet; `ended`: the sandbox has, or all is read that was there
   */
  next(): 'next' | 'none' | 'ended' {
    if (this.#isComplete || !this.#follow) {
      this.#done?.close();
      this.#done = this.#files.shift();
      this.#isComplete = false;
      return this.#files.length > 0 ? 'next' : 'ended';
    }
    // Before the look: what is written until then is found.
    const isOver = this.#source.isOver?.() === true;
    const isThere = this.#look();
    this.#isComplete = isOver || !isThere || this.#files.slice(1).some(({ isBegun }) => isBegun);
    return this.#isComplete ? 'next' : 'none';
  }

  close(): void {
    this.#done?.close();
    for (const file of this.#files.splice(0)) file.close();
  }

  /**
   * Opens the files that came after the current one.
   * @returns false if the log is removed
   */
  #look(): boolean {
    const [current] = this.#files;
    const newer: LogFile[] = [];
    let isThere = false;
    // The newest first: one that gets an older name meanwhile is met again, and none is missed.
    for (const name of [NEXT_LOG_FILE, LOG_FILE, OLDER_LOG_FILE]) {
      const file = this.#open(name);
      if (file === undefined) continue;
      isThere = true;
      const isKnown = [...this.#files, ...newer].some(({ inode }) => inode === file.inode);
      const isRead = file.inode === current?.inode || file.inode === this.#done?.inode;
      if (isKnown || isRead) file.close();
      else newer.unshift(file);
      if (isRead) break;
    }
    this.#files.push(...newer);
    return isThere;
  }

  /** Undefined if it is not there, or no file of that user. */
  #open(name: string): LogFile | undefined {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const fd = valueOr(() => openSync(join(this.#directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK), undefined);
    if (fd === undefined) return undefined;
    const found = fstatSync(fd);
    const { uid } = this.#source;
    if (found.isFile() && (uid === undefined || found.uid === uid)) return new LogFile(fd, this.#source.name);
    closeSync(fd);
    return undefined;
  }
}

function open(source: LogSource): number {
  try {
    return source.open();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw controlError(
      `the log of ${source.name} cannot be read: ${error.message}`,
      'see that the sandbox still runs',
      error,
    );
  }
}

function noLog(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'no-log',
    message: `the sandbox ${name} has no log: who started it has its output`,
    remedy: 'start it with --detach; of a service see virt-sandbox-service logs',
  });
}
