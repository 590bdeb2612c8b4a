/** Reads a stream in the amounts that a format has, not those that it comes in. */

/** What is wrong with an archive, as a sentence that follows its name: `is cut off`. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

export class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #pass: ((bytes: number) => void) | undefined;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #taken = 0;

  /** @param pass moves on a source that need not read what nobody wants; that it ends before is noticed later */
  constructor(source: AsyncIterable<Uint8Array>, pass?: (bytes: number) => void) {
    this.#pass = pass;
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes that were taken so far. */
  get position(): number {
    return this.#taken;
  }

  /** Bytes that are there without waiting for them. */
  #left(): number {
    return this.#piece.length - this.#at;
  }

  /** @returns false at the end */
  async #more(): Promise<boolean> {
    while (this.#left() === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.length);
      this.#at = 0;
    }
    return true;
  }

  #shift(length: number): Buffer {
    const part = this.#piece.subarray(this.#at, this.#at + length);
    this.#at += part.length;
    this.#taken += part.length;
    return part;
  }

  /** The next bytes, at least one and at most so many; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    if (this.#left() === 0 && !(await this.#more())) return undefined;
    return this.#shift(most);
  }

  /**
   * Exactly so many bytes, which stay as they are until the next call.
   * @returns undefined at the end of the stream
   * @throws {TarError} the stream ends within them
   */
  async exactly(length: number): Promise<Buffer | undefined> {
    if (this.#left() >= length) return this.#shift(length);
    const whole = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const part = await this.some(length - filled);
      if (part === undefined) {
        if (filled === 0) return undefined;
        throw new TarError('is cut off');
      }
      part.copy(whole, filled);
      filled += part.length;
    }
    return whole;
  }

  /** @throws {TarError} the stream ends before */
  async skip(length: number): Promise<void> {
    let left = length - this.#shift(length).length;
    if (this.#pass !== undefined) {
      this.#pass(left);
      this.#taken += left;
      return;
    }
    while (left > 0) {
      const part = await this.some(left);
      if (part === undefined) throw new TarError('is cut off');
      left -= part.length;
    }
  }

  /** Reads to the end, so that the source sees all of it. */
  async drain(): Promise<void> {
    while ((await this.some(Number.POSITIVE_INFINITY)) !== undefined);
  }

  /** Lets the source go before its end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
