/**
 * Reads the EROFS images of the store: inodes, names, contents, attributes. They are as format.ts has them, or older: a
 * store may have some of mkfs.erofs, with small inodes and attributes that several inodes have. One may be damaged, so
 * every number is checked.
 */
import { MOST_NAME_BYTES, MOST_PART_BYTES, MOST_PATH_BYTES } from '../limits.js';
import { BLOCK, MAGIC, UNIT } from './format.js';
import { ErofsError, ImageBytes } from './image-bytes.js';

export { ErofsError } from './image-bytes.js';

/** Bytes of a superblock, and where it is. */
const SUPERBLOCK = { position: 1024, length: 128 } as const;
/** Where the superblock has what a reader has to know: packed content, more devices, content in chunks. */
const FEATURES = 80;
/** That packed content, of which there is none, has zeros before it: mkfs.erofs says so of all its images at times. */
const ZERO_PADDING = 1;
/** Bytes of an inode. Their numbers count in small ones. */
const INODE = { small: UNIT, large: 64 } as const;
/** Bytes of a directory's entry, without its name. */
const ENTRY = 12;
/** Bytes of a directory, at most: all names of an image with their entries and what is free behind them are fewer. */
const MOST_DIRECTORY_BYTES = 2 * MOST_NAME_BYTES;
/** Bytes before an inode's attributes, of which one unit is counted, and bytes of a unit. */
const XATTR_HEADER = 12;
const XATTR_UNIT = 4;
/** How the data of an inode are stored: in blocks, or with the end behind the inode. */
const PLAIN = 0;
const INLINE = 2;

type Kind = 'directory' | 'file' | 'symlink' | 'character-device' | 'block-device' | 'fifo' | 'socket';

/** By the bits of a mode. */
const KINDS: ReadonlyMap<number, Kind> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o020000, 'character-device'],
  [0o060000, 'block-device'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);

/** An inode, and where its data are. */
export interface ErofsInode {
  readonly kind: Kind;
  /** As stat(2) has it, with its kind. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Of a device, as stat(2) has it; else 0. */
  readonly device: number;
  /** Bytes that begin at `position`; the others begin at `tail`. */
  readonly whole: number;
  readonly position: number;
  readonly tail: number;
  /** Where its attributes are, and their bytes; 0: it has none. */
  readonly attributes: number;
  readonly attributesLength: number;
}

export class ErofsReader {
  readonly #bytes: ImageBytes;
  /** Where inodes begin, and attributes that several inodes have. */
  readonly #inodes: number;
  readonly #shared: number;
  /** Of small inodes, which have no time of their own. */
  readonly #built: bigint;
  /** The number of the topmost directory. */
  readonly root: number;

  /**
   * @param path closed by {@link close}
   * @throws {ErofsError} it is no such image
   * @throws a system error, as all methods do
   */
  constructor(path: string) {
    this.#bytes = new ImageBytes(path);
    try {
      const superblock = this.#bytes.read(SUPERBLOCK.position, SUPERBLOCK.length);
      checkSuperblock(superblock);
      this.root = superblock.readUInt16LE(14);
      this.#built = time(superblock, 24, 32);
      this.#inodes = superblock.readUInt32LE(40) * BLOCK;
      this.#shared = superblock.readUInt32LE(44) * BLOCK;
    } catch (error) {
      this.#bytes.close();
      throw error;
    }
  }

  close(): void {
    this.#bytes.close();
  }

  /** @throws {ErofsError} */
  inode(number: number): ErofsInode {
    const at = this.#inodes + INODE.small * number;
    const format = this.#bytes.read(at, 2).readUInt16LE(0);
    const isLarge = (format & 1) === 1;
    const length = isLarge ? INODE.large : INODE.small;
    const inode = this.#bytes.read(at, length);
    // The bits above mean nothing yet.
    const layout = format >> 1;
    if (layout !== PLAIN && layout !== INLINE) throw new ErofsError('it is packed');
    const size = isLarge ? Number(inode.readBigUInt64LE(8)) : inode.readUInt32LE(8);
    const mode = inode.readUInt16LE(4);
    const kind = KINDS.get(mode & 0o170000);
    if (kind === undefined) throw new ErofsError(`a file has the mode ${mode.toString(8)}`);
    const units = inode.readUInt16LE(2);
    const attributesLength = units === 0 ? 0 : XATTR_HEADER + XATTR_UNIT * (units - 1);
    const whole = layout === INLINE ? size - (size % BLOCK) : size;
    const tail = at + length + attributesLength;
    if (!Number.isSafeInteger(size)) throw new ErofsError('a number is too large');
    if ((tail % BLOCK) + size - whole > BLOCK) throw new ErofsError('the end of a file leaves its block');
    const block = inode.readUInt32LE(16);
    return {
      kind,
      mode,
      uid: isLarge ? inode.readUInt32LE(24) : inode.readUInt16LE(24),
      gid: isLarge ? inode.readUInt32LE(28) : inode.readUInt16LE(26),
      size,
      mtimeNs: isLarge ? time(inode, 32, 40) : this.#built,
      device: kind.endsWith('-device') ? block : 0,
      whole,
      position: block * BLOCK,
      tail,
      attributes: at + length,
      attributesLength,
    };
  }

  /** The content of a file, or where a symbolic link leads to. @throws {ErofsError} */
  *data({ size, whole, position, tail }: ErofsInode): Generator<Buffer> {
    if (whole > 0) yield* this.#bytes.pieces(position, whole);
    if (size > whole) yield* this.#bytes.pieces(tail, size - whole);
  }

  /**
   * Where a symbolic link leads, as characters of latin1.
   * @throws {ErofsError} also for an inode that is none
   */
  target(link: ErofsInode): string {
    if (link.kind !== 'symlink' || link.size > MOST_PATH_BYTES) throw new ErofsError('a link is too long');
    return Buffer.concat([...this.data(link)]).toString('latin1');
  }

  /**
   * Names and numbers of what is in a directory, in the order of the names' bytes, as characters of latin1. Each block
   * begins with a table of where its names are.
   * @throws {ErofsError} also for an inode that is no directory
   */
  *entries(directory: ErofsInode): Generator<readonly [name: string, number: number]> {
    const { kind, size, whole, position, tail } = directory;
    if (kind !== 'directory' || size > MOST_DIRECTORY_BYTES) throw new ErofsError('a directory is too large');
    for (let at = 0; at < size; at += BLOCK) {
      const length = Math.min(BLOCK, size - at);
      yield* entriesOf(this.#bytes.read(at < whole ? position + at : tail + at - whole, length));
    }
  }

  /**
   * Extended attributes, sorted, each as a text that no other attribute has. Some are beside the inode; those that many
   * inodes have are elsewhere, and the inode has their numbers.
   * @throws {ErofsError}
   */
  attributes({ attributes, attributesLength }: ErofsInode): string[] {
    if (attributesLength === 0) return [];
    const area = this.#bytes.read(attributes, attributesLength);
    const found: string[] = [];
    let at = XATTR_HEADER;
    for (const end = at + XATTR_UNIT * area.readUInt8(4); at < end; at += XATTR_UNIT) {
      if (at + XATTR_UNIT > area.length) throw new ErofsError('attributes are cut off');
      found.push(this.#sharedAttribute(this.#shared + XATTR_UNIT * area.readUInt32LE(at)));
    }
    while (at + XATTR_UNIT <= area.length) {
      const length = attributeLength(area.subarray(at));
      if (at + length > area.length) throw new ErofsError('attributes are cut off');
      found.push(attributeText(area.subarray(at, at + length)));
      at += Math.ceil(length / XATTR_UNIT) * XATTR_UNIT;
    }
    return found.sort();
  }

  #sharedAttribute(position: number): string {
    const length = attributeLength(this.#bytes.read(position, XATTR_UNIT));
    return attributeText(this.#bytes.read(position, length));
  }
}

/** @throws {ErofsError} */
function checkSuperblock(superblock: Buffer): void {
  if (superblock.readUInt32LE(0) !== MAGIC) throw new ErofsError('it has no superblock of EROFS');
  if ((superblock.readUInt32LE(FEATURES) & ~ZERO_PADDING) !== 0) throw new ErofsError('it is packed');
  // A directory's block may be larger than a block by its own byte.
  if (2 ** superblock.readUInt8(12) !== BLOCK || superblock.readUInt8(90) !== 0)
    throw new ErofsError('its blocks have another size');
}

/** @param seconds where in an inode or a superblock they are, and then the nanoseconds */
function time(data: Buffer, seconds: number, nanoseconds: number): bigint {
  return data.readBigUInt64LE(seconds) * 1_000_000_000n + BigInt(data.readUInt32LE(nanoseconds));
}

/** @param block of a directory; the last one may be shorter */
function* entriesOf(block: Buffer): Generator<readonly [name: string, number: number]> {
  const { length } = block;
  const start = length < ENTRY ? 0 : block.readUInt16LE(8);
  if (start < ENTRY || start > length || start % ENTRY !== 0) throw new ErofsError('a directory has no table');
  for (let entry = 0; entry < start; entry += ENTRY) {
    const from = block.readUInt16LE(entry + 8);
    const isLast = entry + ENTRY >= start;
    const next = isLast ? length : block.readUInt16LE(entry + ENTRY + 8);
    if (from < start || next > length) throw new ErofsError('a name is outside of its block');
    const text = block.toString('latin1', from, next);
    // Zeros fill up the block behind the last name.
    const end = isLast ? text.indexOf('\0') : -1;
    const name = end < 0 ? text : text.slice(0, end);
    if (name === '' || name.length > MOST_PART_BYTES || /[/\0]/.test(name)) throw new ErofsError('a name is none');
    if (name !== '.' && name !== '..') yield [name, Number(block.readBigUInt64LE(entry))];
  }
}

/** Bytes of an attribute: of the lengths of name and value, then of both. */
function attributeLength(entry: Buffer): number {
  return XATTR_UNIT + entry.readUInt8(0) + entry.readUInt16LE(2);
}

/** The class of its name, its name, and its value. */
function attributeText(entry: Buffer): string {
  const name = XATTR_UNIT + entry.readUInt8(0);
  return `${entry.readUInt8(1)}:${entry.toString('latin1', XATTR_UNIT, name)}=${entry.toString('latin1', name)}`;
}
