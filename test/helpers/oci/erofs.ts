/** Reads EROFS images, and refuses what a kernel would: fs/erofs/ of Linux 6.12, by its checks and its searches. */
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
  assert.equal(image.readUInt32LE(1024), 0xe0f5e1e2);
  assert.equal(image.readUInt8(1036), 12);
  assert.equal(image.length, image.readUInt32LE(1060) * BLOCK);
  const root = image.readUInt16LE(1038);
  const entries: ErofsEntry[] = [];
  const walk = (number: number, parent: number, path: string): void => {
    const { data, ...directory } = inodeAt(image, number);
    assert.equal(directory.type, 'directory');
    entries.push({ ...directory, name: path === '' ? './' : path, content: '' });
    let subdirectories = 0;
    for (const [name, child, kind] of namesOf(data)) {
      if (name === '.' || name === '..') {
        assert.equal(child, name === '.' ? number : parent, `${path}${name}`);
        continue;
      }
      const { data: content, ...inode } = inodeAt(image, child);
      assert.equal(kind, inode.kind, `${path}${name}`);
      if (inode.type === 'directory') subdirectories += 1;
      if (inode.type === 'directory') walk(child, number, `${path}${name}/`);
      else entries.push({ ...inode, name: `${path}${name}`, content: content.toString('latin1') });
    }
    assert.equal(directory.links, 2 + subdirectories, path);
  };
  walk(root, root, '');
  const inodes = new Map<number, { readonly links: number; names: number }>();
  for (const { number, links, type } of entries) {
    const found = inodes.get(number) ?? { links: type === 'directory' ? 1 : links, names: 0 };
    found.names += 1;
    inodes.set(number, found);
  }
  for (const { links, names } of inodes.values()) assert.equal(links, names);
  assert.equal(Number(image.readBigUInt64LE(1040)), inodes.size);
  return entries;
}

function inodeAt(image: Buffer, number: number) {
  const at = image.readUInt32LE(1064) * BLOCK + 32 * number;
  assert.ok(number > 0 && at >= 1024 + 128);
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
  const whole = format === 5 ? size - (size % BLOCK) : size;
  const block = inode.readUInt32LE(16) * BLOCK;
  // fs/erofs/data.c: inline data have to be in one block.
  if (whole < size) assert.ok((behind % BLOCK) + size - whole <= BLOCK, 'inline data cross a block');
  if (whole > 0) assert.ok(block > 0 && block + whole <= image.length);
  return {
    type,
    kind,
    number,
    links: inode.readUInt32LE(44),
    mode: mode & 0o7777,
    uid: inode.readUInt32LE(24),
    gid: inode.readUInt32LE(28),
    mtime: Number(inode.readBigUInt64LE(32)),
    major: (device >> 8) & 0xfff,
    minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
    xattrs: units === 0 ? new Map<string, string>() : xattrsIn(image.subarray(at + 64 + 12, behind)),
    data: Buffer.concat([image.subarray(block, block + whole), image.subarray(behind, behind + size - whole)]),
  };
}

function xattrsIn(data: Buffer): ReadonlyMap<string, string> {
  const xattrs = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const [length, index, size] = [data.readUInt8(at), data.readUInt8(at + 1), data.readUInt16LE(at + 2)];
    const value = at + 4 + length;
    const name = `${PREFIXES[index as keyof typeof PREFIXES]}${data.toString('latin1', at + 4, value)}`;
    assert.ok(value + size <= data.length && !xattrs.has(name));
    xattrs.set(name, data.toString('latin1', value, value + size));
    at += 4 * Math.ceil((4 + length + size) / 4);
  }
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
      const name = block.toString('latin1', from, next).replace(/\0+$/, '');
      assert.ok(name.length > 0 && name.length <= 255 && !name.includes('\0') && !name.includes('/'));
      assert.ok(name > (found.at(-1)?.[0] ?? ''), name);
      found.push([name, Number(block.readBigUInt64LE(entry)), block.readUInt8(entry + 10)]);
    }
  }
  return found;
}
