/**
 * Reads names and attributes of an EROFS image. The format is that of fs/erofs/erofs_fs.h of the kernel, as far as
 * mkfs.erofs makes images of OCI layers: not packed, on one device. What is in an image others have written, so every
 * number is checked.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** The image is damaged, or of another kind. */
export class ErofsError extends Error {
  override readonly name = 'ErofsError';
}

/** A file of an image. */
export interface ErofsInode {
  readonly number: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of a device, as stat(2) has it; else 0. */
  readonly rdev: bigint;
}

const MAGIC = 0xe0f5e1e2;
/** Bytes of a superblock, and where it is. */
const SUPERBLOCK = { position: 1024, length: 128 } as const;
/** Bytes of an inode, small or large. Their numbers count in small ones. */
const INODE = { small: 32, large: 64 } as const;
/** Bytes of a directory's entry, without its name. */
const ENTRY = 12;
/** How the data of an inode are stored: in blocks, or with the end behind the inode. */
const PLAIN = 0;
const INLINE = 2;
/** Bytes of a directory, or of a link's target, that are read. An image of ours has 100,000 names in one at most. */
const MOST_BYTES = 64 << 20;
const S_IFMT = 0o170_000;
const S_IFDIR = 0o040_000;
const S_IFLNK = 0o120_000;
const S_IFCHR = 0o020_000;
const S_IFBLK = 0o060_000;

interface Data {
  /** Bytes that begin at `position`; the others begin at `tail`. */
  readonly whole: number;
  readonly position: number;
  readonly tail: number;
}

export class ErofsImage {
  readonly #fd: number;
  readonly #block: number;
  readonly #inodes: number;
  /** Of small inodes, which have no time of their own. */
  readonly #built: bigint;
  /** The number of the topmost directory. */
  readonly root: number;

  /**
   * @throws {ErofsError} it is none
   * @throws a system error
   */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      const superblock = this.#read(SUPERBLOCK.position, SUPERBLOCK.length);
      if (superblock.readUInt32LE(0) !== MAGIC) throw new ErofsError('it has no superblock of EROFS');
      const bits = superblock.readUInt8(12);
      if (bits < 9 || bits > 16) throw new ErofsError(`its blocks have 2^${bits} bytes`);
      this.#block = 2 ** bits;
      this.root = superblock.readUInt16LE(14);
      this.#built = superblock.readBigUInt64LE(24) * 1_000_000_000n + BigInt(superblock.readUInt32LE(32));
      this.#inodes = superblock.readUInt32LE(40) * this.#block;
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** @throws {ErofsError} */
  inode(number: number): ErofsInode {
    const { head, isLarge } = this.#head(number);
    const mode = head.readUInt16LE(4);
    const kind = mode & S_IFMT;
    return {
      number,
      mode,
      uid: isLarge ? head.readUInt32LE(24) : head.readUInt16LE(24),
      gid: isLarge ? head.readUInt32LE(28) : head.readUInt16LE(26),
      size: sizeOf(head, isLarge),
      mtimeNs: isLarge ? head.readBigUInt64LE(32) * 1_000_000_000n + BigInt(head.readUInt32LE(40)) : this.#built,
      rdev: kind === S_IFCHR || kind === S_IFBLK ? BigInt(head.readUInt32LE(16)) : 0n,
    };
  }

  /**
   * The names of a directory, a byte a letter, with the numbers of their inodes; undefined: it is no directory.
   * @throws {ErofsError}
   */
  entries(number: number): Map<string, number> | undefined {
    const data = this.#dataOf(number, S_IFDIR);
    if (data === undefined) return undefined;
    const entries = new Map<string, number>();
    for (let at = 0; at < data.length; at += this.#block) {
      const block = data.subarray(at, at + this.#block);
      const start = block.length < ENTRY ? 0 : block.readUInt16LE(8);
      if (start < ENTRY || start > block.length || start % ENTRY !== 0)
        throw new ErofsError('a directory has no table');
      for (let entry = 0; entry < start; entry += ENTRY) {
        const from = block.readUInt16LE(entry + 8);
        const next = entry + ENTRY < start ? block.readUInt16LE(entry + ENTRY + 8) : block.length;
        const [name = ''] = block.toString('latin1', from, next).split('\0', 1);
        if (name !== '.' && name !== '..') entries.set(name, Number(block.readBigUInt64LE(entry)));
      }
    }
    return entries;
  }

  /**
   * Where a symbolic link leads, a byte a letter; undefined: it is none.
   * @throws {ErofsError}
   */
  target(number: number): string | undefined {
    return this.#dataOf(number, S_IFLNK)?.toString('latin1');
  }

  close(): void {
    closeSync(this.#fd);
  }

  #dataOf(number: number, kind: number): Buffer | undefined {
    const { head, at, isLarge } = this.#head(number);
    if ((head.readUInt16LE(4) & S_IFMT) !== kind) return undefined;
    const size = sizeOf(head, isLarge);
    if (size > MOST_BYTES) throw new ErofsError('a directory or a link is too large');
    const { whole, position, tail } = this.#placeOf(head, at, { size, isLarge });
    return Buffer.concat([this.#read(position, whole), this.#read(tail, size - whole)]);
  }

  #placeOf(head: Buffer, at: number, { size, isLarge }: { size: number; isLarge: boolean }): Data {
    const layout = (head.readUInt16LE(0) >> 1) & 7;
    if (layout !== PLAIN && layout !== INLINE) throw new ErofsError('it is packed');
    const attributes = head.readUInt16LE(2);
    return {
      whole: layout === INLINE ? size - (size % this.#block) : size,
      position: head.readUInt32LE(16) * this.#block,
      // Behind the inode and its attributes, which have a header of 12 bytes, of which one unit of four is counted.
      tail: at + (isLarge ? INODE.large : INODE.small) + (attributes === 0 ? 0 : 12 + 4 * (attributes - 1)),
    };
  }

  #head(number: number): { readonly head: Buffer; readonly at: number; readonly isLarge: boolean } {
    const at = this.#inodes + INODE.small * number;
    const small = this.#read(at, INODE.small);
    const isLarge = (small.readUInt16LE(0) & 1) === 1;
    return { head: isLarge ? this.#read(at, INODE.large) : small, at, isLarge };
  }

  #read(position: number, length: number): Buffer {
    const data = Buffer.alloc(length);
    if (!Number.isSafeInteger(position + length)) throw new ErofsError('a number is too large');
    if (length > 0 && readSync(this.#fd, data, 0, length, position) !== length) throw new ErofsError('it is cut off');
    return data;
  }
}

function sizeOf(head: Buffer, isLarge: boolean): number {
  return isLarge ? Number(head.readBigUInt64LE(8)) : head.readUInt32LE(8);
}
