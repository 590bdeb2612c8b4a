/**
 * Unpacks a block of LZO1X. LZO has no specification of its own; the format is in Documentation/staging/lzo.rst of the
 * kernel. An instruction copies a match (bytes that came out before), then up to three literals (bytes that follow the
 * instruction). The format's second version there (LZO-RLE) is for compressed memory. No program packs files with it.
 */

/**
 * "Four or more literals". The next instruction's meaning depends on the last number of literals: 0, 1 to 3, or more.
 */
const MANY = 4;
/** A match at this distance ends a block. Its length is 3, and no literals follow. */
const END_DISTANCE = 16_384;
const END_LENGTH = 3;
/** Copying up to this many bytes in a loop is faster than one call. */
const SHORT_COPY = 32;

/** A block being unpacked. Reading past its end, or writing past the end of the target, means that it is damaged. */
class Unpacking {
  #at = 0;
  #written = 0;

  constructor(
    private readonly block: Buffer,
    private readonly target: Buffer,
  ) {}

  #byte(): number {
    const value = this.block[this.#at];
    if (value === undefined) throw new Error('an lzo block ends in the middle of an instruction');
    this.#at += 1;
    return value;
  }

  #pair(): number {
    return this.#byte() | (this.#byte() << 8);
  }

  /**
   * A length.
   *
   * @param bits Its bits in the instruction. 0: the length is `most` plus the bytes that follow; each 0 byte counts
   *   255, and the first other byte is the last.
   */
  #length(bits: number, most: number): number {
    if (bits !== 0) return bits;
    let length = most;
    let more: number;
    do {
      more = this.#byte();
      length += more === 0 ? 255 : more;
    } while (more === 0);
    return length;
  }

  #claim(count: number): void {
    if (this.#written + count > this.target.length) throw new Error('an lzo block unpacks to more than its size');
  }

  /** Copies literals. Returns their number for the next instruction, at most {@link MANY}. */
  #literals(count: number): number {
    const end = this.#at + count;
    if (end > this.block.length) throw new Error('an lzo block ends in the middle of its literals');
    this.#claim(count);
    if (count > SHORT_COPY) this.block.copy(this.target, this.#written, this.#at, end);
    else for (let i = 0; i < count; i++) this.target[this.#written + i] = this.block[this.#at + i] ?? 0;
    this.#at = end;
    this.#written += count;
    return Math.min(count, MANY);
  }

  #match(distance: number, length: number): void {
    const { target } = this;
    const to = this.#written;
    const from = to - distance;
    if (from < 0) throw new Error('an lzo match begins before its block');
    this.#claim(length);
    if (length > SHORT_COPY && distance >= length) target.copyWithin(to, from, from + length);
    // A match that overlaps itself repeats its last `distance` bytes.
    else for (let i = 0; i < length; i++) target[to + i] = target[from + i] ?? 0;
    this.#written = to + length;
  }

  #end(length: number, literals: number): void {
    if (length !== END_LENGTH || literals !== 0) throw new Error('the end of an lzo block is damaged');
    if (this.#at !== this.block.length) throw new Error('an lzo block has bytes behind its end');
    if (this.#written !== this.target.length) {
      throw new Error(`an lzo block unpacks to ${this.#written} bytes and not ${this.target.length}`);
    }
  }

  run(): void {
    let before = 0;
    // A first byte above 17 counts literals, since there is nothing yet for a match to copy.
    const first = this.block[0] ?? 0;
    if (first > 17) {
      this.#at = 1;
      before = this.#literals(first - 17);
    }
    for (;;) {
      const code = this.#byte();
      if (code < 16 && before === 0) {
        before = this.#literals(this.#length(code, 15) + 3);
        continue;
      }
      // The two low bits of an instruction's last byte count the literals that follow.
      let last = code;
      if (code >= 64) {
        const distance = ((code >> 2) & 7) + (this.#byte() << 3) + 1;
        this.#match(distance, (code >> 5) + 1);
      } else if (code >= 32) {
        const length = this.#length(code & 31, 31) + 2;
        last = this.#pair();
        this.#match((last >> 2) + 1, length);
      } else if (code >= 16) {
        const length = this.#length(code & 7, 7) + 2;
        last = this.#pair();
        const distance = END_DISTANCE + ((code & 8) << 11) + (last >> 2);
        if (distance === END_DISTANCE) {
          this.#end(length, last & 3);
          return;
        }
        this.#match(distance, length);
      } else {
        const distance = (code >> 2) + (this.#byte() << 2) + 1;
        if (before === MANY) this.#match(distance + 2048, 3);
        else this.#match(distance, 2);
      }
      before = this.#literals(last & 3);
    }
  }
}

/**
 * Unpacks a block.
 *
 * @param target Filled to its end. Its length must be the unpacked size, which the block itself does not hold.
 * @throws {Error} when the block is damaged or unpacks to another size.
 */
export function unpackLzo1x(block: Buffer, target: Buffer): void {
  new Unpacking(block, target).run();
}
