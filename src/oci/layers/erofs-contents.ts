/**
 * Compares an EROFS image with what it was made of. mkfs.erofs goes on when a write of content fails, and succeeds: its
 * image then has zeros in the place of a file (lib/tar.c, tarerofs_write_file_data, 1.8.6). The format is that of
 * fs/erofs/erofs_fs.h of the kernel, as far as it is made here: not packed, on one device.
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { throwIfAborted } from '../cancel.js';
import { ImageBytes, ImageDamage } from './image-bytes.js';
import type { Merge } from './merge.js';
import type { Node } from './tree.js';

/** Bytes of a superblock, and where it is. */
const SUPERBLOCK = { position: 1024, length: 128 } as const;
/** Bytes of an inode, small or large, and the unit of their numbers. */
const INODE = { small: 32, large: 64 } as const;
/** Bytes of a directory's entry, without its name. */
const ENTRY = 12;
/** How the data of an inode are stored. */
const PLAIN = 0;
const INLINE = 2;
/** Of the mode of an inode. */
const KIND = 0o170000;
const DIRECTORY = 0o040000;
const FILE = 0o100000;

/** An inode, and where its data are. */
interface Inode {
  readonly kind: number;
  readonly size: number;
  /** Bytes that begin at `position`; the others begin at `tail`. */
  readonly whole: number;
  readonly position: number;
  readonly tail: number;
}

/**
 * The first name that is not in an image as it should be, with its path; undefined for a good image.
 * @param sums CRC-32 of the content that went in, by inodes of the merge
 * @throws {SandboxError} `aborted`
 * @throws the error of a system call
 */
export async function findDamage(
  path: string,
  merge: Merge,
  sums: Uint32Array,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const file = await open(path, 'r');
  const comparison = new Comparison(new ImageBytes(file), merge, sums);
  try {
    return await comparison.run(signal);
  } catch (error) {
    if (error instanceof ImageDamage) return comparison.path;
    throw error;
  } finally {
    await file.close();
  }
}

class Comparison {
  /** Where it is. */
  path = '/';
  #names = 0;
  /** Bytes of a block, and where inodes begin. */
  #block = 0;
  #inodes = 0;
  readonly #seen: Uint8Array;

  constructor(
    private readonly bytes: ImageBytes,
    private readonly merge: Merge,
    private readonly sums: Uint32Array,
  ) {
    this.#seen = new Uint8Array(sums.length);
  }

  async run(signal: AbortSignal | undefined): Promise<string | undefined> {
    const { tree } = this.merge;
    const superblock = await this.bytes.read(SUPERBLOCK.position, SUPERBLOCK.length);
    this.#block = 2 ** superblock.readUInt8(12);
    this.#inodes = superblock.readUInt32LE(40) * this.#block;
    const stack: (readonly [node: Node, number: number])[] = [[tree.root, superblock.readUInt16LE(14)]];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [directory, number] = next;
      const path = tree.path(directory);
      this.path = `/${path}`;
      for await (const [name, child] of this.#entries(await this.#inode(number))) {
        throwIfAborted(signal);
        if (name === '.' || name === '..') continue;
        this.path = `/${path === '' ? '' : `${path}/`}${name}`;
        const node = tree.child(directory, name);
        this.#names += 1;
        if (node === 0 || this.#names > tree.size) return this.path;
        if (tree.isDirectory(node)) stack.push([node, child]);
        else if (!(await this.#isSame(tree.inode(node), child))) return this.path;
      }
    }
    this.path = '/';
    return this.#names === tree.size ? undefined : this.path;
  }

  /** Whether an inode has the content that went in. One with several names is read once. */
  async #isSame(inode: number, number: number): Promise<boolean> {
    if (this.#seen[inode] === 1) return true;
    this.#seen[inode] = 1;
    const found = await this.#inode(number);
    if (found.kind !== FILE) return true;
    let sum = 0;
    for await (const piece of this.#data(found)) sum = crc32(piece, sum);
    return sum === this.sums[inode];
  }

  async #inode(number: number): Promise<Inode> {
    const at = this.#inodes + INODE.small * number;
    const small = await this.bytes.read(at, INODE.small);
    const format = small.readUInt16LE(0);
    const isLarge = (format & 1) === 1;
    const layout = (format >> 1) & 7;
    if (layout !== PLAIN && layout !== INLINE) throw new ImageDamage();
    const size = isLarge ? Number(small.readBigUInt64LE(8)) : small.readUInt32LE(8);
    const attributes = small.readUInt16LE(2);
    const whole = layout === INLINE ? size - (size % this.#block) : size;
    return {
      kind: small.readUInt16LE(4) & KIND,
      size,
      whole,
      position: small.readUInt32LE(16) * this.#block,
      // Behind the inode and its attributes, which have a header of 12 bytes, of which one unit of four is counted.
      tail: at + (isLarge ? INODE.large : INODE.small) + (attributes === 0 ? 0 : 12 + 4 * (attributes - 1)),
    };
  }

  async *#data({ size, whole, position, tail }: Inode): AsyncGenerator<Buffer> {
    if (whole > 0) yield* this.bytes.pieces(position, whole);
    if (size > whole) yield* this.bytes.pieces(tail, size - whole);
  }

  /** Names and numbers of what is in a directory. Each block begins with a table of where its names are. */
  async *#entries(directory: Inode): AsyncGenerator<readonly [name: string, number: number]> {
    const { kind, size, whole, position, tail } = directory;
    if (kind !== DIRECTORY) throw new ImageDamage();
    for (let at = 0; at < size; at += this.#block) {
      const length = Math.min(this.#block, size - at);
      const block = await this.bytes.read(at < whole ? position + at : tail + at - whole, length);
      const start = length < ENTRY ? 0 : block.readUInt16LE(8);
      if (start < ENTRY || start > length || start % ENTRY !== 0) throw new ImageDamage();
      for (let entry = 0; entry < start; entry += ENTRY) {
        const from = block.readUInt16LE(entry + 8);
        const next = entry + ENTRY < start ? block.readUInt16LE(entry + ENTRY + 8) : length;
        const name = block.toString('latin1', from, next);
        const end = name.indexOf('\0');
        yield [end < 0 ? name : name.slice(0, end), Number(block.readBigUInt64LE(entry))];
      }
    }
  }
}
