/**
 * EROFS on the disk: fs/erofs/erofs_fs.h of the kernel, as far as images have it here. Nothing is packed, and there is
 * one device. All inodes are of the large kind: only these have a time of their own. Linux 5.4 mounts it; where a page is
 * larger than a block, Linux 6.4 does.
 */
import type { TarType } from '../tar/reader.js';

/** Bytes of a block: those of a page on most hosts. */
export const BLOCK = 4096;
/** Bytes that the numbers of inodes count in. */
export const UNIT = 32;
const SUPERBLOCK = { position: 1024, length: 128 } as const;
/**
 * Blocks at both ends that have nothing of what an image says: the superblock and zeros. In a container the image is a
 * disk of the host, whose programs look there for what makes it one of a volume group or of a RAID. They would set up
 * devices as it says.
 */
const FIRST_BLOCKS = 2;
export const LAST_BLOCKS = 256;
/** The number of the first inode. None is 0, which programs take for no entry. */
export const FIRST_INODE = (FIRST_BLOCKS * BLOCK) / UNIT;
/** Bytes of an inode, without its attributes and its tail. */
const INODE = 64;
/** Of what stands before the attributes of an inode, and before the name and the value of one. */
const ATTRIBUTES_HEADER = 12;
const ATTRIBUTE_HEADER = 4;
/** Bytes that attributes are counted in. */
const ATTRIBUTE_UNIT = 4;
/** Of an entry of a directory, without its name. */
const ENTRY = 12;

export const MAGIC = 0xe0f5e1e2;
/** Inodes have a time of their own. */
const HAS_TIMES = 2;
/** The format of a large inode whose last bytes, those that fill no block, lie behind it or in a block of their own. */
const INLINE = 1 | (2 << 1);
const PLAIN = 1;

/** By what they begin with, the number that stands for it. */
const PREFIXES = [
  ['user.', 1],
  ['security.', 6],
] as const;

/** What a name leads to: the number in a directory's entry, and the bits of a mode. */
export const KINDS = {
  file: { number: 1, mode: 0o100000 },
  directory: { number: 2, mode: 0o040000 },
  character: { number: 3, mode: 0o020000 },
  block: { number: 4, mode: 0o060000 },
  fifo: { number: 5, mode: 0o010000 },
  symlink: { number: 7, mode: 0o120000 },
} as const satisfies Partial<Record<TarType, object>>;

export type Kind = keyof typeof KINDS;

/** Where the content of an inode goes. */
export interface Extent {
  /** Blocks apart from the inode. */
  readonly blocks: number;
  /** Bytes behind the inode and its attributes. */
  readonly tail: number;
  /** Bytes of the inode, its attributes and its tail. */
  readonly length: number;
}

/**
 * @param size bytes of content
 * @param attributes what {@link attributeUnits} says
 */
export function extentOf(size: number, attributes: number): Extent {
  const inode = INODE + (attributes === 0 ? 0 : ATTRIBUTES_HEADER + ATTRIBUTE_UNIT * attributes);
  const tail = size % BLOCK;
  // A kernel wants the inode's tail within one block.
  return inode + tail <= BLOCK
    ? { blocks: (size - tail) / BLOCK, tail, length: inode + tail }
    : { blocks: Math.ceil(size / BLOCK), tail: 0, length: inode };
}

type Attributes = ReadonlyMap<string, string> | undefined;

/** Room that attributes take, in units of four bytes, without what stands before all; 0 for none. */
export function attributeUnits(attributes: Attributes): number {
  let units = 0;
  for (const [name, value] of attributes ?? []) units += unitsOf(prefixOf(name).rest, value);
  return units;
}

function unitsOf(rest: string, value: string): number {
  return Math.ceil((ATTRIBUTE_HEADER + rest.length + value.length) / ATTRIBUTE_UNIT);
}

function prefixOf(name: string): { readonly number: number; readonly rest: string } {
  for (const [prefix, number] of PREFIXES)
    if (name.startsWith(prefix)) return { number, rest: name.slice(prefix.length) };
  throw new RangeError('attributes of other kinds are not kept');
}

/** What an inode has. */
export interface InodeFields {
  readonly kind: Kind;
  /** Permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds. Times before 1970 become 1970. */
  readonly mtime: number;
  readonly links: number;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  readonly xattrs: Attributes;
  /** Bytes of content. */
  readonly size: number;
  /** The first of its blocks; any number if it has none. */
  readonly block: number;
  /** For programs that know inodes by 32 bits. */
  readonly serial: number;
}

/**
 * Writes an inode and its attributes.
 * @param target zeros, as many as its extent's length
 * @returns where its tail goes
 */
export function writeInode(target: Buffer, extent: Extent, fields: InodeFields): Buffer {
  const { kind, mode, uid, gid, mtime, links, major, minor, xattrs, size, block, serial } = fields;
  const units = attributeUnits(xattrs);
  const isDevice = kind === 'character' || kind === 'block';
  target.writeUInt16LE(extent.tail > 0 ? INLINE : PLAIN, 0);
  target.writeUInt16LE(units === 0 ? 0 : units + 1, 2);
  target.writeUInt16LE(KINDS[kind].mode | mode, 4);
  target.writeBigUInt64LE(BigInt(size), 8);
  target.writeUInt32LE(isDevice ? deviceNumber(major, minor) : extent.blocks > 0 ? block : 0, 16);
  target.writeUInt32LE(serial, 20);
  target.writeUInt32LE(uid, 24);
  target.writeUInt32LE(gid, 28);
  target.writeBigUInt64LE(BigInt(Math.max(mtime, 0)), 32);
  target.writeUInt32LE(links, 44);
  let at = INODE;
  if (units > 0) {
    at += ATTRIBUTES_HEADER;
    for (const name of [...(xattrs?.keys() ?? [])].sort()) {
      const { number, rest } = prefixOf(name);
      const value = xattrs?.get(name) ?? '';
      target.writeUInt8(rest.length, at);
      target.writeUInt8(number, at + 1);
      target.writeUInt16LE(value.length, at + 2);
      target.write(rest + value, at + ATTRIBUTE_HEADER, 'latin1');
      at += ATTRIBUTE_UNIT * unitsOf(rest, value);
    }
  }
  return target.subarray(at, at + extent.tail);
}

/** As the kernel packs it into 32 bits. */
function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** A name in a directory. */
export interface Entry {
  /** Bytes as characters of latin1. */
  readonly name: string;
  /** Of its inode. */
  readonly number: number;
  readonly kind: number;
}

/** Counts the bytes of a directory, whose names come in the order of their bytes. */
export class DirectorySize {
  #blocks = 0;
  #length = 0;

  get bytes(): number {
    return this.#blocks * BLOCK + this.#length;
  }

  add(name: string): void {
    if (this.#length + ENTRY + name.length > BLOCK) {
      this.#blocks += 1;
      this.#length = 0;
    }
    this.#length += ENTRY + name.length;
  }
}

/** The blocks of a directory; the last one is not filled up. @param entries in the order of their names' bytes */
export function* directoryBlocks(entries: Iterable<Entry>): Generator<Buffer> {
  let held: Entry[] = [];
  let length = 0;
  for (const entry of entries) {
    if (length + ENTRY + entry.name.length > BLOCK) {
      yield directoryBlock(held, BLOCK);
      [held, length] = [[], 0];
    }
    held.push(entry);
    length += ENTRY + entry.name.length;
  }
  yield directoryBlock(held, length);
}

function directoryBlock(entries: readonly Entry[], length: number): Buffer {
  const block = Buffer.alloc(length);
  let nameAt = ENTRY * entries.length;
  for (const [index, { name, number, kind }] of entries.entries()) {
    const at = ENTRY * index;
    block.writeUInt32LE(number, at);
    block.writeUInt16LE(nameAt, at + 8);
    block.writeUInt8(kind, at + 10);
    nameAt += block.write(name, nameAt, 'latin1');
  }
  return block;
}

/**
 * Writes the superblock.
 * @param target the beginning of the image, zeros
 */
export function writeSuperblock(
  target: Buffer,
  fields: {
    /** The number of the root's inode; it has 16 bits. */
    readonly root: number;
    readonly inodes: number;
    /** Of the image. */
    readonly blocks: number;
    /** 32 hexadecimal digits. */
    readonly uuid: string;
  },
): void {
  const data = target.subarray(SUPERBLOCK.position, SUPERBLOCK.position + SUPERBLOCK.length);
  data.writeUInt32LE(MAGIC, 0);
  data.writeUInt32LE(HAS_TIMES, 8);
  data.writeUInt8(Math.log2(BLOCK), 12);
  data.writeUInt16LE(fields.root, 14);
  data.writeUInt32LE(fields.inodes, 16);
  data.writeUInt32LE(fields.blocks, 36);
  data.write(fields.uuid, 48, 'hex');
}
