/** Writes the log of a detached sandbox. */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { isSystemError } from '../util/errors.js';
import { encodeLines, LOG_BYTES, LOG_FILE, type LogStream, OLDER_LOG_FILE } from './log.js';

/** So much of the application's output is made lines of at once: they are up to 35 times as long. */
const PIECE_BYTES = 16 << 10;

/**
 * Two files of at most 8 MiB. What cannot be written, as on a full disk, is left out, and the application goes on.
 */
export class LogWriter {
  /** By its descriptor: when it is removed, its path may be another sandbox's. */
  readonly #directory: FileHandle;
  #file: FileHandle | undefined;
  /** Bytes in the file. */
  #size = 0;
  /** The last line was not written to its end. */
  #isTorn = false;
  /** Writes are done one after the other. */
  #last: Promise<void> = Promise.resolve();

  private constructor(directory: FileHandle, file: FileHandle) {
    this.#directory = directory;
    this.#file = file;
  }

  /** Makes the log. @throws a system error */
  static async create(stateDirectory: string): Promise<LogWriter> {
    const directory = await open(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return new LogWriter(directory, await make(directory));
    } catch (error) {
      await directory.close();
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
      const lines = encodeLines(stream, bytes.subarray(at, at + PIECE_BYTES), new Date());
      this.#last = this.#last.then(() => this.#append(lines));
      await this.#last;
    }
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#last;
    await this.#file?.close();
    this.#file = undefined;
    await this.#directory.close();
  }

  async #append(lines: Buffer): Promise<void> {
    try {
      if (this.#size + lines.length >= LOG_BYTES) await this.#rotate();
      this.#file ??= await make(this.#directory);
      await this.#writeAll(this.#file, this.#isTorn ? Buffer.concat([Buffer.from('\n'), lines]) : lines);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  async #writeAll(file: FileHandle, lines: Buffer): Promise<void> {
    this.#isTorn = true;
    for (let done = 0; done < lines.length; ) {
      const { bytesWritten } = await file.write(lines, done);
      done += bytesWritten;
      this.#size += bytesWritten;
    }
    this.#isTorn = false;
  }

  /** A reader finds the file that it has read by its inode: src/control/read-log.ts. */
  async #rotate(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    await rename(pathIn(this.#directory, LOG_FILE), pathIn(this.#directory, OLDER_LOG_FILE));
    this.#size = 0;
    this.#isTorn = false;
  }
}

function make(directory: FileHandle): Promise<FileHandle> {
  return open(pathIn(directory, LOG_FILE), 'ax', 0o600);
}

function pathIn({ fd }: FileHandle, name: string): string {
  return `/proc/self/fd/${fd}/${name}`;
}
