/**
 * Reads an EROFS image: inodes, names, contents, attributes. The format is that of fs/erofs/erofs_fs.h of the kernel, as
 * far as it is made here: not packed, on one device.
 */
import { MOST_PART_BYTES } from '../limits.js';
import { type ImageBytes, ImageDamage } from './image-bytes.js';

/** Bytes of a superblock, and where it is. */
const SUPERBLOCK = { position: 1024, length: 128 } as const;
const MAGIC = 0xe0f5e1e2;
/** Bytes of a block: those of all images that are made here, and that were made by mkfs.erofs. */
const BLOCK = 4096;
/** Where the superblock has what a reader has to know: packed content, more devices, content in chunks. */
const FEATURES = 80;
/** That packed content, of which there is none, has zeros before it: mkfs.erofs says so of all its images at times. */
const ZERO_PADDING = 1;
/** Bytes of an inode, small or large, and the unit of their numbers. */
const INODE = { small: 32, large: 64 } as const;
/** Bytes of a directory's entry, without its name. */
const ENTRY = 12;
/** Bytes before an inode's attributes, of which one unit is counted, and bytes of a unit. */
const XATTR_HEADER = 12;
const XATTR_UNIT = 4;
/** How the data of an inode are stored. */
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
  /** Its permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Of a device: its numbers, as the kernel packs them. */
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
  private constructor(
    private readonly bytes: ImageBytes,
    /** Where inodes begin, and attributes that several inodes have. */
    private readonly inodes: number,
    private readonly shared: number,
    /** The number of the root's inode. */
    readonly root: number,
  ) {}

  /** @throws {ImageDamage} */
  static async open(bytes: ImageBytes): Promise<ErofsReader> {
    const superblock = await bytes.read(SUPERBLOCK.position, SUPERBLOCK.length);
    const features = superblock.readUInt32LE(FEATURES) & ~ZERO_PADDING;
    // A directory's block may be larger than a block by its own byte.
    const shifts = [superblock.readUInt8(12), superblock.readUInt8(90)];
    if (superblock.readUInt32LE(0) !== MAGIC || features !== 0 || shifts[0] !== Math.log2(BLOCK) || shifts[1] !== 0)
      throw new ImageDamage();
    const at = (offset: number) => superblock.readUInt32LE(offset) * BLOCK;
    return new ErofsReader(bytes, at(40), at(44), superblock.readUInt16LE(14));
  }

  /** @throws {ImageDamage} */
  async inode(number: number): Promise<ErofsInode> {
    const at = this.inodes + INODE.small * number;
    const format = (await this.bytes.read(at, 2)).readUInt16LE(0);
    const isLarge = (format & 1) === 1;
    const length = isLarge ? INODE.large : INODE.small;
    const inode = await this.bytes.read(at, length);
    // The bits above mean nothing yet.
    const layout = format >> 1;
    if (layout !== PLAIN && layout !== INLINE) throw new ImageDamage();
    const size = isLarge ? Number(inode.readBigUInt64LE(8)) : inode.readUInt32LE(8);
    const mode = inode.readUInt16LE(4);
    const kind = KINDS.get(mode & 0o170000);
    if (kind === undefined) throw new ImageDamage();
    const units = inode.readUInt16LE(2);
    const attributesLength = units === 0 ? 0 : XATTR_HEADER + XATTR_UNIT * (units - 1);
    const whole = layout === INLINE ? size - (size % BLOCK) : size;
    const tail = at + length + attributesLength;
    if (!Number.isSafeInteger(size) || (tail % BLOCK) + size - whole > BLOCK) throw new ImageDamage();
    const device = inode.readUInt32LE(16);
    return {
      kind,
      mode: mode & 0o7777,
      uid: isLarge ? inode.readUInt32LE(24) : inode.readUInt16LE(24),
      gid: isLarge ? inode.readUInt32LE(28) : inode.readUInt16LE(26),
      size,
      device,
      whole,
      position: device * BLOCK,
      tail,
      attributes: at + length,
      attributesLength,
    };
  }

  /** The content of a file, or where a symbolic link leads to. @throws {ImageDamage} */
  async *data({ size, whole, position, tail }: ErofsInode): AsyncGenerator<Buffer> {
    if (whole > 0) yield* this.bytes.pieces(position, whole);
    if (size > whole) yield* this.bytes.pieces(tail, size - whole);
  }

  /**
   * Names and numbers of what is in a directory, in the order of the names' bytes, as characters of latin1. Each block
   * begins with a table of where its names are.
   * @throws {ImageDamage} also for an inode that is no directory
   */
  async *entries(directory: ErofsInode): AsyncGenerator<readonly [name: string, number: number]> {
    const { kind, size, whole, position, tail } = directory;
    if (kind !== 'directory') throw new ImageDamage();
    for (let at = 0; at < size; at += BLOCK) {
      const length = Math.min(BLOCK, size - at);
      const block = await this.bytes.read(at < whole ? position + at : tail + at - whole, length);
      const start = length < ENTRY ? 0 : block.readUInt16LE(8);
      if (start < ENTRY || start > length || start % ENTRY !== 0) throw new ImageDamage();
      for (let entry = 0; entry < start; entry += ENTRY) {
        const from = block.readUInt16LE(entry + 8);
        const isLast = entry + ENTRY >= start;
        const next = isLast ? length : block.readUInt16LE(entry + ENTRY + 8);
        if (from < start || next > length) throw new ImageDamage();
        const text = block.toString('latin1', from, next);
        // Zeros fill up the block behind the last name.
        const end = isLast ? text.indexOf('\0') : -1;
        const name = end < 0 ? text : text.slice(0, end);
        if (name === '' || name.length > MOST_PART_BYTES || /[/\0]/.test(name)) throw new ImageDamage();
        if (name !== '.' && name !== '..') yield [name, Number(block.readBigUInt64LE(entry))];
      }
    }
  }

  /**
   * Extended attributes, sorted, each as a text that no other attribute has. Some are beside the inode; those that many
   * inodes have are elsewhere, and the inode has their numbers.
   * @throws {ImageDamage}
   */
  async attributes({ attributes, attributesLength }: ErofsInode): Promise<string[]> {
    if (attributesLength === 0) return [];
    const area = await this.bytes.read(attributes, attributesLength);
    const count = area.readUInt8(4);
    const found: string[] = [];
    let at = XATTR_HEADER;
    for (const end = at + XATTR_UNIT * count; at < end; at += XATTR_UNIT) {
      if (at + XATTR_UNIT > area.length) throw new ImageDamage();
      found.push(await this.#sharedAttribute(this.shared + XATTR_UNIT * area.readUInt32LE(at)));
    }
    while (at + XATTR_UNIT <= area.length) {
      const length = attributeLength(area.subarray(at));
      if (at + length > area.length) throw new ImageDamage();
      found.push(attributeText(area.subarray(at, at + length)));
      at += Math.ceil(length / XATTR_UNIT) * XATTR_UNIT;
    }
    return found.sort();
  }

  async #sharedAttribute(position: number): Promise<string> {
    const length = attributeLength(await this.bytes.read(position, XATTR_UNIT));
    return attributeText(await this.bytes.read(position, length));
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
