/**
 * The legacy LZ4 frame, which `lz4 -l` writes and the kernel reads: a magic number, then blocks. Each block has its
 * packed length in four bytes and unpacks to at most 8 MiB. Formats: lz4_Block_format.md and lz4_Frame_format.md of
 * LZ4.
 */

import { compressorMissing, loadLibrary } from './library.js';
import { MAGIC } from './magic.js';
import { Output } from './output.js';
import type { UnpackedPart } from './types.js';

/** Most bytes that one block unpacks to. */
const BLOCK_LIMIT = 8 << 20;
const MAGIC_BYTES = Buffer.from(MAGIC.lz4);
/** The magic number as a block's length would be read. */
const MAGIC_NUMBER = MAGIC_BYTES.readUInt32LE();
/** Shortest match, in bytes. */
const MIN_MATCH = 4;
/** No byte of a block stands for more than this: a length goes on with bytes that each add at most 255. */
const MOST_RATIO = 255;
/** Highest level of LZ4_compress_HC. */
const PACK_LEVEL = 12;

/** Reads the bytes of a block in order. Reading past its end means that the block is damaged. */
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

  /**
   * A length that starts with the four bits `nibble`. If they are 15, bytes to add follow, the last being the first
   * below 255.
   */
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

/** Unpacks one block into `target` from `start` on. Returns where its bytes end. */
function unpackBlock(block: BlockReader, target: Buffer, start: number): number {
  const end = Math.min(target.length, start + BLOCK_LIMIT);
  let at = start;
  while (!block.atEnd) {
    const token = block.byte();
    const literals = block.take(block.length(token >> 4));
    if (at + literals.length > end) throw new Error('an lz4 block unpacks to more than its limit');
    literals.copy(target, at);
    at += literals.length;
    // The last sequence of a block has no match.
    if (block.atEnd) break;
    const offset = block.byte() | (block.byte() << 8);
    const length = block.length(token & 15) + MIN_MATCH;
    if (offset === 0 || at - offset < start) throw new Error('an lz4 match begins before its block');
    if (at + length > end) throw new Error('an lz4 block unpacks to more than its limit');
    if (offset >= length) target.copyWithin(at, at - offset, at - offset + length);
    // A match that overlaps itself repeats its last `offset` bytes.
    else for (let i = 0; i < length; i++) target[at + i] = target[at + i - offset] ?? 0;
    at += length;
  }
  return at;
}

/**
 * Unpacks the frame that `data` begins with. Zeros or other data may follow.
 *
 * @param limit Most bytes that may come out.
 * @throws {Error} when the data are damaged.
 */
export function unpackLz4Part(data: Buffer, limit: number): UnpackedPart {
  const output = new Output(limit);
  const target = Buffer.allocUnsafeSlow(Math.min(BLOCK_LIMIT, MOST_RATIO * data.length));
  let position = MAGIC_BYTES.length;
  while (position + 4 <= data.length) {
    const length = data.readUInt32LE(position);
    // No block is empty, so these zeros come after the frame.
    if (length === 0) break;
    position += 4;
    if (length === MAGIC_NUMBER) continue;
    if (position + length > data.length) throw new Error('the lz4 frame ends in the middle of a block');
    const written = unpackBlock(new BlockReader(data, position, position + length), target, 0);
    output.append(target.subarray(0, written));
    position += length;
  }
  return { data: output.bytes, used: Math.min(position, data.length) };
}

/**
 * Unpacks a whole file.
 *
 * @param size Unpacked size in bytes. The frame itself does not hold it.
 * @throws {Error} when `size` is undefined, or the data are damaged or unpack to another size.
 */
export function unpackLz4(data: Buffer, size: number | undefined): Buffer {
  if (size === undefined) throw new Error('the unpacked size of lz4 data must be known');
  // Who made the file chose the size too.
  if (size > MOST_RATIO * data.length) throw new Error(`the lz4 frame is too short to unpack to ${size} bytes`);
  const target = Buffer.allocUnsafeSlow(size);
  let written = 0;
  let position = 0;
  while (position < data.length) {
    if (position + 4 > data.length) throw new Error('the lz4 frame ends in the middle of a length');
    const length = data.readUInt32LE(position);
    position += 4;
    // A magic number in place of a length begins another frame.
    if (length === MAGIC_NUMBER) continue;
    if (position === 4) throw new Error('the lz4 frame does not begin with its magic number');
    if (position + length > data.length) throw new Error('the lz4 frame ends in the middle of a block');
    written = unpackBlock(new BlockReader(data, position, position + length), target, written);
    position += length;
  }
  if (written !== size) throw new Error(`the lz4 frame unpacks to ${written} bytes and not ${size}`);
  return target;
}

/** Packs with liblz4, block by block. */
export async function packLz4(data: Buffer): Promise<Buffer> {
  const library = await loadLibrary('liblz4.so.1', compressorMissing('lz4', 'Debian: liblz4-1, Fedora: lz4-libs'));
  const bound = library.func('int LZ4_compressBound(int inputSize)');
  const compress = library.func(
    'int LZ4_compress_HC(const void *src, void *dst, int srcSize, int dstCapacity, int compressionLevel)',
  );
  const packBlock = async (block: Buffer): Promise<Buffer> => {
    const target = Buffer.allocUnsafeSlow(Number(bound(block.length)));
    const size = await new Promise<number>((resolve, reject) => {
      compress.async(block, target, block.length, target.length, PACK_LEVEL, (error: Error | null, result: number) => {
        if (error) reject(error);
        else resolve(result);
      });
    });
    if (size <= 0) throw new Error('lz4 could not pack the initrd');
    return target.subarray(0, size);
  };
  const parts: Buffer[] = [MAGIC_BYTES];
  for (let at = 0; at < data.length; at += BLOCK_LIMIT) {
    const packed = await packBlock(data.subarray(at, at + BLOCK_LIMIT));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(packed.length);
    parts.push(length, packed);
  }
  return Buffer.concat(parts);
}
