/** Reads the log of a detached sandbox, while it is written. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError, SandboxError, valueOr } from '../util/errors.js';
import { openState } from './connect.js';
import { controlError } from './errors.js';
import {
  decodeLine,
  HEADER_BYTES,
  LOG_FILE,
  type LogRecord,
  MOST_LINE_BYTES,
  OLDER_LOG_FILE,
  type ReadLogOptions,
} from './log.js';

/** How often to look for more, in milliseconds. */
const LOOK_MS = 100;
const READ_BYTES = 1 << 16;
const LINE_FEED = 0x0a;

/**
 * What the application of a detached sandbox has written. A log is cut at 16 MiB: what is older is gone. A reader that
 * is slower than the application misses what was cut meanwhile.
 * @param sandbox as `findRunning` returns it
 * @throws {SandboxError} `no-log` if it is not detached; `control-failed`
 */
export async function* readLog(sandbox: RunningSandbox, options: ReadLogOptions = {}): AsyncGenerator<LogRecord> {
  const { since, follow = false, signal } = options;
  const directory = open(sandbox.name, () => openState(sandbox));
  const reader = new LogReader(`/proc/self/fd/${directory}`, sandbox.name, sandbox.user?.uid);
  try {
    reader.begin();
    for (;;) {
      for (const record of reader.lines()) if (since === undefined || record.time >= since) yield record;
      if (signal?.aborted) return;
      const next = reader.next();
      if (next === 'ended' || (next === 'none' && !follow)) return;
      if (next === 'none') await delay(LOOK_MS, undefined, { ...(signal ? { signal } : {}) }).catch(() => {});
    }
  } finally {
    reader.close();
    closeSync(directory);
  }
}

/** A file of the log, and what of it is read. */
class LogFile {
  readonly inode: number;
  readonly #fd: number;
  readonly #name: string;
  /** The beginning of a line. */
  #rest = Buffer.alloc(0);

  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
    this.inode = fstatSync(fd).ino;
  }

  /** The lines up to what is written now. */
  *lines(): Generator<LogRecord> {
    const chunk = Buffer.alloc(READ_BYTES);
    for (;;) {
      const length = readSync(this.#fd, chunk, 0, chunk.length, null);
      if (length === 0) return;
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, length)]);
      let at = 0;
      for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, at)) {
        const record = decodeLine(bytes.subarray(at, end));
        at = end + 1;
        if (record) yield record;
      }
      this.#rest = bytes.subarray(at);
      if (this.#rest.length > MOST_LINE_BYTES + HEADER_BYTES)
        throw controlError(`the log of ${this.#name} has a line that is too long`, 'ask its user what is there');
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class LogReader {
  readonly #directory: string;
  readonly #name: string;
  readonly #uid: number | undefined;
  /** Those that are read one after the other. The first is being read. */
  readonly #files: LogFile[] = [];
  #isRemoved = false;

  constructor(directory: string, name: string, uid: number | undefined) {
    this.#directory = directory;
    this.#name = name;
    this.#uid = uid;
  }

  /** @throws {SandboxError} `no-log` */
  begin(): void {
    const newest = this.#open(LOG_FILE);
    const older = this.#open(OLDER_LOG_FILE);
    for (const file of [older, newest]) if (file !== undefined) this.#add(file);
    if (this.#files.length === 0) throw noLog(this.#name);
  }

  *lines(): Generator<LogRecord> {
    yield* this.#files[0]?.lines() ?? [];
  }

  /**
   * Goes on to the next file.
   * @returns `none`: there is no other yet; `ended`: the sandbox has, and its log is read
   */
  next(): 'next' | 'none' | 'ended' {
    const [current] = this.#files;
    if (current === undefined) return 'ended';
    if (this.#files.length === 1) {
      const [newest, older] = [this.#inodeOf(LOG_FILE), this.#inodeOf(OLDER_LOG_FILE)];
      if (newest === undefined && older === undefined) return this.#isReadAgain() ? 'ended' : 'next';
      if (newest === undefined || newest === current.inode) return 'none';
      // If the older one is not the current, one was filled meanwhile.
      const names = older === current.inode ? [LOG_FILE] : [OLDER_LOG_FILE, LOG_FILE];
      const opened = names.map((name) => this.#open(name));
      for (const file of opened) if (file !== undefined) this.#add(file);
      // It is complete: what came before it was moved is still to be read.
      return 'next';
    }
    this.#files.shift()?.close();
    return 'next';
  }

  close(): void {
    for (const file of this.#files.splice(0)) file.close();
  }

  /** What was written before the files were removed is read once more. */
  #isReadAgain(): boolean {
    const before = this.#isRemoved;
    this.#isRemoved = true;
    return before;
  }

  #add(file: LogFile): void {
    if (this.#files.some(({ inode }) => inode === file.inode)) file.close();
    else this.#files.push(file);
  }

  #inodeOf(name: string): number | undefined {
    return valueOr(() => lstatSync(join(this.#directory, name)).ino, undefined);
  }

  /** Undefined if it is not there, or no file of that user. */
  #open(name: string): LogFile | undefined {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const fd = valueOr(() => openSync(join(this.#directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK), undefined);
    if (fd === undefined) return undefined;
    const found = fstatSync(fd);
    if (found.isFile() && (this.#uid === undefined || found.uid === this.#uid)) return new LogFile(fd, this.#name);
    closeSync(fd);
    return undefined;
  }
}

function open(name: string, read: () => number): number {
  try {
    return read();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw controlError(`the log of ${name} cannot be read: ${error.message}`, 'see that the sandbox still runs', error);
  }
}

function noLog(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'no-log',
    message: `the sandbox ${name} has no log: who started it has its output`,
    remedy: 'start it with --detach',
  });
}
