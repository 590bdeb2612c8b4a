/**
 * The legacy LZ4 frame: what `lz4 -l` writes and the kernel's build packs with. A magic number, then blocks, each with its
 * packed length in four bytes, each unpacking to at most 8 MiB. Format: lz4_Block_format.md and lz4_Frame_format.md of LZ4.
 */

/** Most that one block unpacks to, in bytes. */
export const BLOCK_LIMIT = 8 << 20;
export const MAGIC = 0x184c2102;
/** A match is never shorter than this. */
const SHORTEST_MATCH = 4;

/** The bytes of a block, read one after the other; reading past its end means that it is damaged. */
class BlockReader {
  #position: number;

  constructor(
    private readonly data: Buffer,
    start: number,
    readonly end: number,
  ) {
    this.#position = start;
  }

  get atEnd(): boolean {
    return this.#position >= this.end;
  }

  byte(): number {
    const value = this.#position < this.end ? this.data[this.#position] : undefined;
    if (value === undefined) throw new Error('an lz4 block ends in the middle of a sequence');
    this.#position++;
    return value;
  }

  /** A length whose four-bit beginning is `nibble`: 15 means that more bytes follow, until one is not 255. */
  length(nibble: number): number {
    let length = nibble;
    if (nibble === 15) {
      let more: number;
      do {
        more = this.byte();
        length += more;
      } while (more === 255);
    }
    return length;
  }

  take(count: number): Buffer {
    if (this.#position + count > this.end) throw new Error('an lz4 block ends in the middle of its literals');
    this.#position += count;
    return this.data.subarray(this.#position - count, this.#position);
  }
}

/** Unpacks one block into `target` at `position`; returns where its bytes end. */
function unpackBlock(block: BlockReader, target: Buffer, position: number): number {
  const start = position;
  const room = Math.min(target.length, start + BLOCK_LIMIT);
  let at = start;
  while (!block.atEnd) {
    const token = block.byte();
    const literals = block.take(block.length(token >> 4));
    if (at + literals.length > room) throw new Error('an lz4 block unpacks to more than its limit');
    literals.copy(target, at);
    at += literals.length;
    // The last sequence of a block has no match.
    if (block.atEnd) break;
    const offset = block.byte() | (block.byte() << 8);
    const length = block.length(token & 15) + SHORTEST_MATCH;
    if (offset === 0 || at - offset < start) throw new Error('an lz4 match begins before its block');
    if (at + length > room) throw new Error('an lz4 block unpacks to more than its limit');
    if (offset >= length) target.copyWithin(at, at - offset, at - offset + length);
    // A match that overlaps itself repeats its last `offset` bytes.
    else for (let i = 0; i < length; i++) target[at + i] = target[at + i - offset] ?? 0;
    at += length;
  }
  return at;
}

/**
 * Unpacks the legacy LZ4 frame that begins `data`, of which nobody knows how large it gets, nor whether zeros follow.
 *
 * @param limit Most bytes that may come out.
 * @returns what came out, and how many bytes of `data` it took
 * @throws {Error} when the data are damaged.
 */
export function unpackLz4Part(data: Buffer, limit: number): { data: Buffer; used: number } {
  const parts: Buffer[] = [];
  let size = 0;
  let position = 4;
  while (position + 4 <= data.length) {
    const length = data.readUInt32LE(position);
    // No block is empty: it is what lies behind the frame.
    if (length === 0) break;
    position += 4;
    if (length === MAGIC) continue;
    if (position + length > data.length) throw new Error('the lz4 frame ends in the middle of a block');
    const target = Buffer.allocUnsafeSlow(BLOCK_LIMIT);
    const written = unpackBlock(new BlockReader(data, position, position + length), target, 0);
    // What is kept must not hold on to the rest of its block.
    parts.push(written < BLOCK_LIMIT / 2 ? Buffer.from(target.subarray(0, written)) : target.subarray(0, written));
    size += written;
    if (size > limit) throw new Error(`the lz4 frame unpacks to more than ${limit} bytes`);
    position += length;
  }
  return { data: Buffer.concat(parts, size), used: Math.min(position, data.length) };
}

/**
 * Unpacks a legacy LZ4 frame with nothing after it.
 *
 * @param size The unpacked size in bytes, which the frame does not say itself.
 * @throws {Error} when the data are damaged or unpack to another size.
 */
export function unpackLz4Legacy(data: Buffer, size: number): Buffer {
  const target = Buffer.allocUnsafeSlow(size);
  let written = 0;
  let position = 0;
  while (position < data.length) {
    if (position + 4 > data.length) throw new Error('the lz4 frame ends in the middle of a length');
    const length = data.readUInt32LE(position);
    position += 4;
    // Frames may follow each other: the magic number takes the place of a length.
    if (length === MAGIC) continue;
    if (position === 4) throw new Error('the lz4 frame does not begin with its magic number');
    if (position + length > data.length) throw new Error('the lz4 frame ends in the middle of a block');
    written = unpackBlock(new BlockReader(data, position, position + length), target, written);
    position += length;
  }
  if (written !== size) throw new Error(`the lz4 frame unpacks to ${written} bytes and not ${size}`);
  return target;
}
