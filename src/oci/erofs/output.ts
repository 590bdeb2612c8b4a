/** Two places of a new image that are written at the same time: its inodes, and the content that lies behind them. */
import { type WritableFile, writeAll } from '../../util/write-all.js';
import { BLOCK, UNIT } from './format.js';
import { OPEN_BLOCKS } from './inode-room.js';

/** Bytes that are written at a time, at least. */
const PIECE = 256 << 10;
/** Bytes of inodes that are held, of which some may still change. */
const HELD = 4 * OPEN_BLOCKS * BLOCK;

/** What a hole reads as. */
const ZEROS = Buffer.alloc(PIECE);

/** What of a FileHandle is used. */
export interface OutputFile extends WritableFile {
  truncate(length: number): Promise<void>;
}

export class ErofsOutput {
  readonly #inodes = Buffer.alloc(HELD);
  /** Where in the image they begin, and how much of them was given out. */
  #inodesAt = 0;
  #inodesEnd = 0;
  readonly #content = Buffer.alloc(PIECE);
  #contentLength = 0;
  #contentAt: number;

  /** @param contentAt the first block of content */
  constructor(
    private readonly file: OutputFile,
    contentAt: number,
  ) {
    this.#contentAt = contentAt * BLOCK;
  }

  /** The block that content goes on in; it begins there. */
  get block(): number {
    return (this.#contentAt + this.#contentLength) / BLOCK;
  }

  /**
   * Room for an inode, until the next call: zeros.
   * @param number one that {@link OPEN_BLOCKS} allows
   */
  async inode(number: number, length: number): Promise<Buffer> {
    const position = number * UNIT;
    while (position + length > this.#inodesAt + HELD) await this.#moveOn();
    const at = position - this.#inodesAt;
    if (at < 0) throw new Error('the room of an inode is written already');
    this.#inodesEnd = Math.max(this.#inodesEnd, at + length);
    return this.#inodes.subarray(at, at + length);
  }

  /** The superblock's room. */
  first(): Buffer {
    return this.#inodes.subarray(0, BLOCK);
  }

  async add(piece: Buffer): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const count = piece.copy(this.#content, this.#contentLength, at);
      at += count;
      this.#contentLength += count;
      if (this.#contentLength === PIECE) await this.#writeContent();
    }
  }

  /** Fills the last block up. */
  async endBlock(): Promise<void> {
    const over = this.#contentLength % BLOCK;
    if (over === 0) return;
    const end = this.#contentLength + BLOCK - over;
    this.#content.fill(0, this.#contentLength, end);
    this.#contentLength = end;
    if (end === PIECE) await this.#writeContent();
  }

  async end(): Promise<void> {
    await writeAll(this.file, this.#inodes.subarray(0, Math.ceil(this.#inodesEnd / BLOCK) * BLOCK), this.#inodesAt);
    await this.#writeContent();
  }

  /** What was given out before the last blocks is final. */
  async #moveOn(): Promise<void> {
    const half = HELD / 2;
    await writeAll(this.file, this.#inodes.subarray(0, half), this.#inodesAt);
    this.#inodes.copyWithin(0, half);
    this.#inodes.fill(0, half);
    this.#inodesAt += half;
    this.#inodesEnd = Math.max(0, this.#inodesEnd - half);
  }

  /** Pieces of zeros become holes: the file was empty, and gets its length at the end. */
  async #writeContent(): Promise<void> {
    const piece = this.#content.subarray(0, this.#contentLength);
    if (!piece.equals(ZEROS.subarray(0, piece.length))) await writeAll(this.file, piece, this.#contentAt);
    this.#contentAt += this.#contentLength;
    this.#contentLength = 0;
  }
}
