/** Writes the log of a detached sandbox, or of a service. */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { isSystemError, messageOf } from '../util/errors.js';
import { writeAll } from '../util/write-all.js';
import {
  encodeLines,
  HEADER_BYTES,
  LOG_BYTES,
  LOG_FILE,
  type LogStream,
  MOST_LINE_BYTES,
  NEXT_LOG_FILE,
  OLDER_LOG_FILE,
} from './log.js';

/** So much of the application's output is made lines of at once: they are up to 35 times as long. */
const PIECE_BYTES = 16 << 10;

/** The file must not be there, or it may. */
const [NEW, GOES_ON] = ['ax+', 'a+'] as const;
type Flags = typeof NEW | typeof GOES_ON;

const LINE_FEED = 0x0a;

/** More than a file has of a page of the disk that nobody else gets. It ends no line, so that it can be taken back. */
const ROOM = Buffer.alloc(4096, ' ');

/** Until a log that lacks output is tried again, in milliseconds. */
const AGAIN_MS = 5000;

/**
 * What the log says of output that is missing, when it can be written again.
 * @param bytes at most so many are missing
 * @param why the last error
 */
export type TellMissing = (bytes: number, why: string) => Buffer;

/** Gets why output is left out from now on; undefined: it is written again. */
export type OnMissing = (why: string | undefined) => void;

export interface MissingOptions {
  /** Undefined: nothing but the output is in the log. */
  readonly tellMissing?: TellMissing;
  readonly onMissing?: OnMissing | undefined;
  readonly againMs?: number | undefined;
}

/**
 * Two files of at most 8 MiB. What cannot be written, as on a full disk, is left out, and the application goes on.
 */
export class LogWriter {
  /** By its descriptor: when it is removed, its path may be another sandbox's. */
  readonly #directory: FileHandle;
  #file: FileHandle | undefined;
  /** It is written when the other one is full. */
  #next: FileHandle | undefined;
  /** Bytes in the file. */
  #size = 0;
  /** The last line may not be written to its end. */
  #isTorn = false;
  /** What could not be written, since a write succeeded last. */
  #missing: { readonly bytes: number; readonly why: string } | undefined;
  readonly #tellMissing: TellMissing | undefined;
  readonly #onMissing: OnMissing | undefined;
  readonly #againMs: number;
  #again: NodeJS.Timeout | undefined;
  /** Writes are done one after the other. */
  #last: Promise<void> = Promise.resolve();

  private constructor(directory: FileHandle, { tellMissing, onMissing, againMs = AGAIN_MS }: MissingOptions) {
    this.#directory = directory;
    this.#tellMissing = tellMissing;
    this.#onMissing = onMissing;
    this.#againMs = againMs;
  }

  /** Makes the log. @throws a system error */
  static create(stateDirectory: string): Promise<LogWriter> {
    return LogWriter.#open(stateDirectory, NEW);
  }

  /**
   * Goes on with the log that an earlier process has left there, or makes one.
   * @throws a system error
   */
  static goOn(directory: string, options: MissingOptions): Promise<LogWriter> {
    return LogWriter.#open(directory, GOES_ON, options);
  }

  static async #open(directory: string, flags: Flags, options: MissingOptions = {}): Promise<LogWriter> {
    const log = new LogWriter(await open(directory, constants.O_RDONLY | constants.O_DIRECTORY), options);
    try {
      log.#file = await make(log.#directory, LOG_FILE, flags);
      log.#next = await make(log.#directory, NEXT_LOG_FILE, flags);
      log.#size = (await log.#file.stat()).size;
      log.#isTorn = log.#size > 0;
      return log;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Logs a stream to its end. */
  async copy(from: AsyncIterable<Buffer>, stream: LogStream): Promise<void> {
    for await (const chunk of from) await this.write(stream, chunk);
  }

  /** Resolves when it is in the file, or cannot be. */
  async write(stream: LogStream, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      const lines = encodeLines(stream, piece, new Date());
      this.#last = this.#last.then(() => this.#append(lines, piece.length));
      await this.#last;
    }
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    clearTimeout(this.#again);
    await this.#last;
    if (this.#missing !== undefined) await this.#append(Buffer.alloc(0), 0);
    clearTimeout(this.#again);
    await this.#file?.close();
    await this.#next?.close();
    this.#file = undefined;
    this.#next = undefined;
    await this.#directory.close();
  }

  /** @param bytes of output that the lines have */
  async #append(lines: Buffer, bytes: number): Promise<void> {
    clearTimeout(this.#again);
    try {
      if (this.#missing !== undefined) {
        const { bytes: missing, why } = this.#missing;
        const told = this.#tellMissing?.(missing, why);
        if (told !== undefined) {
          // The disk may be full although the rest of a page would do for one line.
          await this.#put(ROOM);
          this.#isTorn = true;
          await this.#put(encodeLines('stderr', told, new Date()));
        }
        this.#missing = undefined;
        this.#onMissing?.(undefined);
      }
      if (lines.length > 0) await this.#put(lines);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const before = this.#missing?.bytes;
      this.#missing = { bytes: bytes + (before ?? 0), why: messageOf(error) };
      if (before === undefined) this.#onMissing?.(this.#missing.why);
      if (this.#tellMissing !== undefined) this.#again = setTimeout(() => this.#tryAgain(), this.#againMs);
    }
  }

  /** The next output may be a day away. */
  #tryAgain(): void {
    this.#last = this.#last.then(() => this.#append(Buffer.alloc(0), 0));
  }

  async #put(lines: Buffer): Promise<void> {
    if (this.#size + lines.length >= LOG_BYTES) await this.#rotate();
    this.#file ??= await make(this.#directory, LOG_FILE);
    if (this.#isTorn) this.#size = await cutTornLine(this.#file);
    this.#isTorn = true;
    try {
      await writeAll(this.#file, lines, this.#size);
      this.#size += lines.length;
      this.#isTorn = false;
    } catch (error) {
      // A part may be there.
      this.#size = (await this.#file.stat()).size;
      throw error;
    }
  }

  /** A reader finds the file that it has read by its inode: src/control/read-log.ts. */
  async #rotate(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    await move(this.#directory, LOG_FILE, OLDER_LOG_FILE);
    this.#size = 0;
    this.#isTorn = false;
    const next = this.#next;
    this.#next = undefined;
    if (await move(this.#directory, NEXT_LOG_FILE, LOG_FILE)) this.#file = next;
    else await next?.close();
    // Without it, as on a full disk, one is made when it is needed.
    this.#next = await make(this.#directory, NEXT_LOG_FILE).catch(systemError);
  }
}

function make(directory: FileHandle, name: string, flags: Flags = NEW): Promise<FileHandle> {
  return open(pathIn(directory, name), flags, 0o600);
}

/**
 * Removes the beginning of a line that has no end: with a line feed it would look whole. A disk needs no room for that.
 * @returns bytes in the file
 */
async function cutTornLine(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  const most = Math.min(size, HEADER_BYTES + MOST_LINE_BYTES);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(most), 0, most, size - most);
  const end = size - most + buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED) + 1;
  if (end < size) await file.truncate(end);
  return end;
}

/** @returns false if it is not there: somebody has removed it, or the sandbox has ended */
async function move(directory: FileHandle, from: string, to: string): Promise<boolean> {
  try {
    await rename(pathIn(directory, from), pathIn(directory, to));
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

/** @throws what is none */
function systemError(error: unknown): undefined {
  if (!isSystemError(error)) throw error;
}

function pathIn({ fd }: FileHandle, name: string): string {
  return `/proc/self/fd/${fd}/${name}`;
}
