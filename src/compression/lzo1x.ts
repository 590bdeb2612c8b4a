/**
 * One block of LZO1X, of which LZO has no specification: Documentation/staging/lzo.rst of the kernel says what is there. An
 * instruction repeats a match, bytes that came out before, and then up to three literals, bytes that it carries itself.
 * The second version of that document (LZO-RLE) is for compressed memory: no program packs files so.
 */

/** What the next instruction means depends on how many literals came last: none, one to three, or more, which is this. */
const MANY = 4;
/** A match at this distance marks the end of a block. Its length is always 3, and no literals follow. */
const END_DISTANCE = 16_384;
const END_LENGTH = 3;
/** Matches up to this many bytes are quicker copied one by one than by a call. */
const SHORT_COPY = 32;

/** A block that is being unpacked. Reading past its end or writing past the target's means that it is damaged. */
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

  /** A length whose beginning is in an instruction: 0 means `most`, and that more bytes follow, until one is not 0. */
  #length(beginning: number, most: number): number {
    if (beginning !== 0) return beginning;
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

  /** Copies literals, and says what that makes of the next instruction. */
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
    // There is nothing yet that a match could repeat, so a first byte above 17 counts literals.
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
      // Wherever an instruction ends, its two last bits say how many literals follow.
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
 * @param target As long as what comes out, which the block does not say itself; filled to its end.
 * @throws {Error} when the block is damaged or unpacks to another size.
 */
export function unpackLzo1x(block: Buffer, target: Buffer): void {
  new Unpacking(block, target).run();
}
