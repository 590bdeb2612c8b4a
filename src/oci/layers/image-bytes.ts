/** The bytes of an image, by their positions. Some windows of it are kept, since names and inodes lie close together. */
import type { FileHandle } from 'node:fs/promises';

/** The image is not what it should be; what reads it knows where. */
export class ImageDamage extends Error {
  override readonly name = 'ImageDamage';
}

/** Bytes of a window, and how many are kept. */
const WINDOW = 256 << 10;
const MOST_WINDOWS = 32;

export class ImageBytes {
  /** By their numbers, the oldest first. */
  readonly #windows = new Map<number, Buffer>();

  constructor(private readonly file: FileHandle) {}

  /**
   * Bytes in one piece.
   * @throws {ImageDamage} the image ends before
   */
  async read(position: number, length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.pieces(position, length)) pieces.push(piece);
    const [only, ...others] = pieces;
    return only !== undefined && others.length === 0 ? only : Buffer.concat(pieces);
  }

  /**
   * Bytes in pieces of any size.
   * @throws {ImageDamage} the image ends before
   */
  async *pieces(position: number, length: number): AsyncGenerator<Buffer> {
    if (!Number.isSafeInteger(position + length)) throw new ImageDamage();
    for (let at = position; at < position + length; ) {
      const number = Math.floor(at / WINDOW);
      const window = this.#windows.get(number) ?? (await this.#load(number));
      const start = at - number * WINDOW;
      const piece = window.subarray(start, start + position + length - at);
      if (piece.length === 0) throw new ImageDamage();
      at += piece.length;
      yield piece;
    }
  }

  async #load(number: number): Promise<Buffer> {
    const data = Buffer.allocUnsafeSlow(WINDOW);
    let length = 0;
    for (let count = -1; count !== 0 && length < WINDOW; length += count)
      count = (await this.file.read(data, length, WINDOW - length, number * WINDOW + length)).bytesRead;
    const window = data.subarray(0, length);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MOST_WINDOWS && oldest !== undefined) this.#windows.delete(oldest);
    this.#windows.set(number, window);
    return window;
  }
}
