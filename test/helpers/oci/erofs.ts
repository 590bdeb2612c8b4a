/**
 * Reads EROFS images, and refuses what a kernel would: fs/erofs/ of Linux 6.12, by its checks and its searches. Besides
 * it refuses what no image of ours has. It shares nothing with src/oci/erofs/ on purpose: a mistake there would be made
 * here too.
 */
import assert from 'node:assert/strict';

export interface ErofsEntry {
  /** Without a slash at the beginning; that of a directory ends with one, and the root is `./`. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'character' | 'block' | 'fifo' | 'symlink';
  readonly number: number;
  readonly links: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, string>;
  /** Of a file, and where a symbolic link leads. Bytes as characters of latin1. */
  readonly content: string;
}

const BLOCK = 4096;
const UNIT = 32;
/** Bytes at the beginning and at the end that have the superblock and nothing else. */
const HEAD = 2 * BLOCK;
const TAIL = 1 << 20;

/** Of an image with one directory. */
export const EMPTY_IMAGE_BYTES = HEAD + BLOCK + TAIL;
/** Inodes have times. */
const COMPATIBLE = 2;
/** By the upper four bits of a mode. */
const TYPES = {
  8: ['file', 1],
  4: ['directory', 2],
  2: ['character', 3],
  6: ['block', 4],
  1: ['fifo', 5],
  10: ['symlink', 7],
} as const;
const PREFIXES = { 1: 'user.', 6: 'security.' } as const;

/** All names of an image in the order of their bytes, each directory before what is in it. */
export function readErofs(image: Buffer): ErofsEntry[] {
  checkSuperblock(image);
  const root = image.readUInt16LE(1038);
  const room = new UsedRoom(image);
  const inodes = new Map<number, Inode & { names: number }>();
  const inodeOf = (number: number) => {
    const found = inodes.get(number) ?? { ...inodeAt(image, number, room), names: 0 };
    found.names += 1;
    inodes.set(number, found);
    return found;
  };
  const entries: ErofsEntry[] = [];
  const walk = (number: number, parent: number, path: string): void => {
    const directory = inodeOf(number);
    assert.equal(directory.type, 'directory');
    entries.push(entryOf(path === '' ? './' : path, { ...directory, data: Buffer.alloc(0) }));
    let subdirectories = 0;
    for (const [name, child, kind] of namesOf(directory.data)) {
      if (name === '.' || name === '..') {
        assert.equal(child, name === '.' ? number : parent, `${path}${name}`);
        assert.equal(kind, directory.kind, `${path}${name}`);
        continue;
      }
      const isDirectory = kind === directory.kind;
      // One with two names might be in itself.
      if (isDirectory) assert.ok(!inodes.has(child), `${path}${name}`);
      if (isDirectory) walk(child, number, `${path}${name}/`);
      const inode = isDirectory ? inodes.get(child) : inodeOf(child);
      assert.equal(kind, inode?.kind, `${path}${name}`);
      if (isDirectory) subdirectories += 1;
      else if (inode !== undefined) entries.push(entryOf(`${path}${name}`, inode));
    }
    assert.equal(directory.links, 2 + subdirectories, path);
  };
  walk(root, root, '');
  for (const { links, names, type } of inodes.values()) assert.equal(names, type === 'directory' ? 1 : links);
  assert.equal(Number(image.readBigUInt64LE(1040)), inodes.size);
  // Programs with 32 bits for it tell inodes apart by these.
  assert.equal(new Set([...inodes.values()].map(({ serial }) => serial)).size, inodes.size);
  room.checkContent();
  return entries;
}

function checkSuperblock(image: Buffer): void {
  const superblock = image.subarray(1024, 1024 + 128);
  assert.equal(superblock.readUInt32LE(0), 0xe0f5e1e2);
  assert.equal(superblock.readUInt8(12), 12);
  assert.equal(image.length, superblock.readUInt32LE(36) * BLOCK);
  // Nothing that a kernel has to know (80), no larger blocks of directories (90), no slots, devices or packed content.
  // Inodes count from the image's beginning (40). There is no checksum, no time and no name.
  assert.equal(superblock.readUInt8(13), 0);
  const others = [4, 24, 28, 32, 40, 44, 64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 104, 108, 112, 116, 120, 124];
  for (const at of others) assert.equal(superblock.readUInt32LE(at), 0, `${at}`);
  assert.equal(superblock.readUInt32LE(8), COMPATIBLE);
  assert.ok(isZero(image.subarray(0, 1024)));
  // Where the host looks for volume groups and RAIDs.
  assert.ok(isZero(image.subarray(1024 + 128, HEAD)) && isZero(image.subarray(image.length - TAIL)));
}

/** Whose each unit and each block is: no two may have one. */
class UsedRoom {
  readonly #units = new Set<number>();
  #last = 0;
  readonly #blocks = new Set<number>();

  constructor(private readonly image: Buffer) {}

  /** @param at bytes, and how many */
  takeUnits(at: number, length: number): void {
    assert.ok(at + length <= this.image.length);
    const end = Math.ceil((at + length) / UNIT);
    for (let unit = at / UNIT; unit < end; unit += 1) {
      assert.ok(!this.#units.has(unit), `two inodes at ${unit * UNIT}`);
      this.#units.add(unit);
      this.#last = Math.max(this.#last, unit);
    }
    assert.ok(isZero(this.image.subarray(at + length, end * UNIT)));
  }

  takeBlocks(first: number, size: number): void {
    const end = first + Math.ceil(size / BLOCK);
    assert.ok(end * BLOCK <= this.image.length);
    for (let block = first; block < end; block += 1) {
      assert.ok(!this.#blocks.has(block), `two contents in block ${block}`);
      this.#blocks.add(block);
    }
    assert.ok(isZero(this.image.subarray(first * BLOCK + size, end * BLOCK)));
  }

  /** All blocks behind the inodes are content, and no others. */
  checkContent(): void {
    const first = Math.floor(this.#last / (BLOCK / UNIT)) + 1;
    for (const block of this.#blocks) assert.ok(block >= first, `content among inodes in block ${block}`);
    assert.equal(this.#blocks.size, (this.image.length - TAIL) / BLOCK - first);
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(Buffer.alloc(bytes.length));
}

type Inode = ReturnType<typeof inodeAt>;

function entryOf(name: string, inode: Inode): ErofsEntry {
  const { type, number, links, mode, uid, gid, mtime, major, minor, xattrs, data } = inode;
  const shown = { name, type, number, links, mode, uid, gid, mtime, major, minor, xattrs };
  return { ...shown, content: data.toString('latin1') };
}

function inodeAt(image: Buffer, number: number, room: UsedRoom) {
  const at = UNIT * number;
  assert.ok(at >= HEAD);
  const inode = image.subarray(at, at + 64);
  const format = inode.readUInt16LE(0);
  // A large inode, plain or with its tail behind it.
  assert.ok(format === 1 || format === 5);
  const [mode, size] = [inode.readUInt16LE(4), Number(inode.readBigUInt64LE(8))];
  const [type, kind] = TYPES[(mode >> 12) as keyof typeof TYPES];
  const units = inode.readUInt16LE(2);
  const behind = at + 64 + (units === 0 ? 0 : 12 + 4 * (units - 1));
  const isDevice = type === 'character' || type === 'block';
  const device = isDevice ? inode.readUInt32LE(16) : 0;
  // A kernel takes the last block of such a file from behind the inode, also if it is a whole one.
  if (format === 5) assert.ok(size % BLOCK > 0, 'inline data, of which there are none');
  const whole = format === 5 ? size - (size % BLOCK) : size;
  const first = inode.readUInt32LE(16);
  // fs/erofs/data.c: inline data have to be in one block, which is that of the inode here.
  if (whole < size) assert.equal(Math.floor(at / BLOCK), Math.floor((behind + size - whole - 1) / BLOCK));
  if (behind - at > BLOCK) assert.equal(at % BLOCK, 0);
  else assert.equal(Math.floor(at / BLOCK), Math.floor((behind - 1) / BLOCK), 'an inode crosses a block');
  if (isDevice || type === 'fifo') assert.equal(size, 0);
  else if (whole === 0) assert.equal(first, 0);
  // Nanoseconds, and what is reserved.
  assert.equal(inode.readUInt16LE(6), 0);
  for (const zero of [40, 48, 52, 56, 60]) assert.equal(inode.readUInt32LE(zero), 0, `${zero}`);
  room.takeUnits(at, behind + size - whole - at);
  if (whole > 0) room.takeBlocks(first, whole);
  const block = first * BLOCK;
  return {
    type,
    kind,
    number,
    serial: inode.readUInt32LE(20),
    links: inode.readUInt32LE(44),
    mode: mode & 0o7777,
    uid: inode.readUInt32LE(24),
    gid: inode.readUInt32LE(28),
    mtime: Number(inode.readBigUInt64LE(32)),
    major: (device >> 8) & 0xfff,
    minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
    xattrs: units === 0 ? new Map<string, string>() : xattrsIn(image.subarray(at + 64, behind)),
    data:
      whole === 0
        ? image.subarray(behind, behind + size)
        : Buffer.concat([image.subarray(block, block + whole), image.subarray(behind, behind + size - whole)]),
  };
}

/** @param area with what stands before all attributes: none is shared */
function xattrsIn(area: Buffer): ReadonlyMap<string, string> {
  assert.ok(isZero(area.subarray(0, 12)));
  const data = area.subarray(12);
  const xattrs = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const [length, index, size] = [data.readUInt8(at), data.readUInt8(at + 1), data.readUInt16LE(at + 2)];
    assert.ok(index === 1 || index === 6, `${index}`);
    const value = at + 4 + length;
    const name = `${PREFIXES[index]}${data.toString('latin1', at + 4, value)}`;
    // As XATTR_NAME_MAX has it.
    assert.ok(length > 0 && name.length <= 255 && !name.includes('\0'), name);
    assert.ok(value + size <= data.length && !xattrs.has(name), name);
    xattrs.set(name, data.toString('latin1', value, value + size));
    const end = at + 4 * Math.ceil((4 + length + size) / 4);
    assert.ok(isZero(data.subarray(value + size, end)));
    at = end;
  }
  // listxattr(2) has no more room.
  assert.ok([...xattrs.keys()].reduce((sum, name) => sum + name.length + 1, 0) <= 65_536);
  return xattrs;
}

/** Names, inodes and kinds. A kernel searches by halves, so they have to be in the order of their bytes. */
function namesOf(data: Buffer): (readonly [name: string, number: number, kind: number])[] {
  const found: (readonly [string, number, number])[] = [];
  for (let at = 0; at < data.length; at += BLOCK) {
    const block = data.subarray(at, at + BLOCK);
    const start = block.readUInt16LE(8);
    assert.ok(start >= 12 && start < block.length && start % 12 === 0);
    for (let entry = 0; entry < start; entry += 12) {
      const from = block.readUInt16LE(entry + 8);
      const next = entry + 12 < start ? block.readUInt16LE(entry + 20) : block.length;
      assert.ok(from >= start && from < next && next <= block.length);
      assert.equal(block.readUInt8(entry + 11), 0);
      const name = block.toString('latin1', from, next).replace(/\0+$/, '');
      assert.ok(name.length > 0 && name.length <= 255 && !name.includes('\0') && !name.includes('/'));
      assert.ok(name > (found.at(-1)?.[0] ?? ''), name);
      found.push([name, Number(block.readBigUInt64LE(entry)), block.readUInt8(entry + 10)]);
    }
  }
  return found;
}
