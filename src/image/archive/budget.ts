/**
 * What reading one initrd may take. It has one budget for everything: what its packed archives unpack to, the archives
 * themselves, and their entries. A few megabytes could ask for gigabytes of any of these otherwise.
 */

import { ArchiveError } from './types.js';

/** What a packed archive costs besides its content, in bytes: the state of an unpacker, and buffers. */
const PER_PART = 1 << 20;
/** What an entry costs, in bytes: its fields, and the line that is printed of it. */
const PER_ENTRY = 1024;
/** What each byte of a name or of a link's target costs: the text, and copies of it with characters escaped. */
const PER_NAME_BYTE = 16;

export class Budget {
  #left: number;

  /** @param limit in bytes */
  constructor(private readonly limit: number) {
    this.#left = limit;
  }

  /** Bytes that the next packed archive may unpack to; 0 when nothing is left. */
  get left(): number {
    return this.#left;
  }

  /** @throws {ArchiveError} when more is taken than is left */
  takePart(): void {
    this.#take(PER_PART);
  }

  /** @throws {ArchiveError} when more is taken than is left */
  takeContent(bytes: number): void {
    this.#take(bytes);
  }

  /**
   * @param nameBytes length of its name and, for a link, of its target
   * @throws {ArchiveError} when more is taken than is left
   */
  takeEntry(nameBytes: number): void {
    this.#take(PER_ENTRY + nameBytes * PER_NAME_BYTE);
  }

  #take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new ArchiveError(`it takes more than ${this.limit} bytes of memory to read`);
  }
}
