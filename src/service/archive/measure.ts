/**
 * Looks at all of an archive that is a file, before anything is unpacked: whether each member may be, and whether there
 * is room for all. Contents are passed over, and not read. What is unpacked is checked again, since the file may change.
 */
import type { FileHandle } from 'node:fs/promises';
import { isSystemError, messageOf } from '../../util/errors.js';
import { abortedError } from '../errors.js';
import { notReadable } from './errors.js';
import { CONFIG, MANIFEST, MOST_TEXT_BYTES } from './manifest.js';
import { type Member, Members } from './members.js';
import type { RoomCheck } from './room-check.js';

/** Bytes that are read at once: headers of some small files. */
const PIECE_BYTES = 65_536;

export interface MeasureOptions {
  readonly archive: string;
  /** Whose state it is to be. */
  readonly name: string;
  /** Throws for a member that cannot be. */
  readonly check: (member: Member) => void;
  readonly room: RoomCheck | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {SandboxError} `service-archive-too-large`, `aborted`, what `check` and the reader throw */
export async function measure(file: FileHandle, options: MeasureOptions): Promise<void> {
  const { archive, name, check, room, signal } = options;
  const source = new FileSource(file, archive);
  const members = new Members(source, archive, (bytes) => source.pass(bytes));
  for (const text of [MANIFEST, CONFIG]) await members.text(text, MOST_TEXT_BYTES);
  for (let member = await members.next(); member !== undefined; member = await members.next()) {
    if (signal?.aborted) throw abortedError(name);
    check(member);
    room?.count(member);
    await members.skip();
  }
  room?.check();
}

/** Reads by positions, so whoever reads the file from its beginning to its end does not notice. */
class FileSource implements AsyncIterable<Uint8Array> {
  readonly #file: FileHandle;
  readonly #archive: string;
  #at = 0;

  constructor(file: FileHandle, archive: string) {
    this.#file = file;
    this.#archive = archive;
  }

  pass(bytes: number): void {
    this.#at += bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.#read();
      if (piece.length === 0) return;
      this.#at += piece.length;
      yield piece;
    }
  }

  async #read(): Promise<Uint8Array> {
    try {
      const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, this.#at);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw isSystemError(error) ? notReadable(this.#archive, messageOf(error), error) : error;
    }
  }
}
