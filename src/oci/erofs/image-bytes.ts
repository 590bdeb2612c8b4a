/** The bytes of an image, by their positions. Some windows of it are kept, since names and inodes lie close together. */
import { closeSync, openSync, readSync } from 'node:fs';

/** The image is damaged, or of another kind. The message is a sentence that follows it: `it is cut off`. */
export class ErofsError extends Error {
  override readonly name = 'ErofsError';
}

/** Bytes of a window, and how many are kept. */
const WINDOW = 256 << 10;
const MOST_WINDOWS = 32;

export class ImageBytes {
  readonly #fd: number;
  /** By their numbers, the oldest first. */
  readonly #windows = new Map<number, Buffer>();

  /** @throws a system error */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /**
   * Bytes in one piece.
   * @throws {ErofsError} the image ends before
   * @throws a system error
   */
  read(position: number, length: number): Buffer {
    const [first, ...others] = this.pieces(position, length);
    if (first === undefined) return Buffer.alloc(0);
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  /** The same in pieces of any size. */
  *pieces(position: number, length: number): Generator<Buffer> {
    if (!Number.isSafeInteger(position + length)) throw new ErofsError('a number is too large');
    for (let at = position; at < position + length; ) {
      const number = Math.floor(at / WINDOW);
      const window = this.#windows.get(number) ?? this.#load(number);
      const start = at - number * WINDOW;
      const piece = window.subarray(start, start + position + length - at);
      if (piece.length === 0) throw new ErofsError('it is cut off');
      at += piece.length;
      yield piece;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #load(number: number): Buffer {
    const data = Buffer.allocUnsafeSlow(WINDOW);
    let length = 0;
    for (let count = -1; count !== 0 && length < WINDOW; length += count)
      count = readSync(this.#fd, data, length, WINDOW - length, number * WINDOW + length);
    const window = data.subarray(0, length);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MOST_WINDOWS && oldest !== undefined) this.#windows.delete(oldest);
    this.#windows.set(number, window);
    return window;
  }
}
