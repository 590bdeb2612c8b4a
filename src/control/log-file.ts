/** A file of the log of a detached sandbox, while it is written. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { controlError } from './errors.js';
import { decodeLine, HEADER_BYTES, type LogRecord, MOST_LINE_BYTES } from './log.js';

const READ_BYTES = 1 << 16;
const LINE_FEED = 0x0a;

/** An open file, and how far it is read. */
export class LogFile {
  readonly inode: number;
  readonly #fd: number;
  readonly #name: string;
  /** Bytes that are read, in whole lines: who writes it may remove the beginning of one, and write another there. */
  #at = 0;
  /** It is read up to there, in bytes. */
  #end = Number.POSITIVE_INFINITY;

  /** @param name of the sandbox */
  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
    this.inode = fstatSync(fd).ino;
  }

  /** Something is written in it. */
  get isBegun(): boolean {
    return fstatSync(this.#fd).size > 0;
  }

  /** What is written from now on is not read. */
  endHere(): void {
    this.#end = fstatSync(this.#fd).size;
  }

  /** It is read from its beginning again. */
  rewind(): void {
    this.#at = 0;
  }

  /** The lines up to what is written now. */
  *lines(): Generator<LogRecord> {
    const chunk = Buffer.alloc(READ_BYTES);
    for (;;) {
      const length = readSync(this.#fd, chunk, 0, Math.max(Math.min(chunk.length, this.#end - this.#at), 0), this.#at);
      const bytes = chunk.subarray(0, length);
      let at = 0;
      for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, at)) {
        const record = decodeLine(bytes.subarray(at, end));
        this.#at += end + 1 - at;
        at = end + 1;
        if (record) yield record;
      }
      if (length - at > MOST_LINE_BYTES + HEADER_BYTES)
        throw controlError(`the log of ${this.#name} has a line that is too long`, 'ask its user what is there');
      if (at === 0) return;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
