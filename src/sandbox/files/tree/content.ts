/** Reads a file of the host, as extents. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { encodeExtent } from './encode.js';

/** How much is read at a time; so many zeros become a hole. */
const PIECE_BYTES = 65_536;
const ZEROS = Buffer.alloc(PIECE_BYTES);

export class ContentReader {
  readonly #fd: number;
  readonly #size: number;
  /** It has fewer blocks than its size needs, so zeros in it are looked for. Node.js has no SEEK_HOLE. */
  readonly #isSparse: boolean;
  #at = 0;

  /** @param fd is closed by {@link close} */
  constructor(fd: number, size: number, isSparse: boolean) {
    this.#fd = fd;
    this.#size = size;
    this.#isSparse = isSparse;
  }

  /**
   * The next extent, or nothing of a hole; undefined at the end.
   * @throws the error of a system call
   */
  next(): { readonly record: Buffer; readonly bytes: Buffer } | 'hole' | undefined {
    const most = Math.min(PIECE_BYTES, this.#size - this.#at);
    if (most === 0) return undefined;
    const piece = Buffer.allocUnsafe(most);
    const count = readSync(this.#fd, piece, 0, most, this.#at);
    if (count === 0) return undefined;
    const bytes = piece.subarray(0, count);
    const record = encodeExtent(this.#at, count);
    this.#at += count;
    return this.#isSparse && bytes.equals(ZEROS.subarray(0, count)) ? 'hole' : { record, bytes };
  }

  /** Whether less could be read than its size, or it has become shorter. @throws the error of a system call */
  hasShrunk(): boolean {
    return this.#at < this.#size || fstatSync(this.#fd).size < this.#size;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
