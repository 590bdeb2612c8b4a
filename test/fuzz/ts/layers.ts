/** Layers of an image, as archives of any bytes and as lists of entries: what they are merged to is one EROFS image. */
import assert from 'node:assert/strict';
import { ErofsReader } from '../../../src/oci/erofs/reader.js';
import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../src/oci/layers/layer-stream.js';
import { digestOf } from '../../../src/oci-names/digest.js';
import { SandboxError } from '../../../src/util/errors.js';
import { type ErofsEntry, readErofs } from '../../helpers/oci/erofs.js';
import { imageOfMerge } from '../../helpers/oci/layers.js';
import { BLOCK, type TarEntry, tarEntry, tarOf, withChecksum } from '../../helpers/oci/tar.js';
import { settledOrRefused } from './support/expect.js';
import { putFile } from './support/memory-files.js';
import type { Target } from './support/target.js';

/** What paths are made of here. Few parts make many meetings. */
const PARTS = [
  'a',
  'b',
  'c',
  'lib',
  '.wh.a',
  '.wh.lib',
  '.wh..wh..opq',
  '..',
  '.',
  '\xe4\xff',
  '.wh.',
  '.wh..wh.x',
] as const;
/** Flags of tar: two of them are files. */
const TYPES = ['0', '5', '2', '1', '0', '3', '6', '4'] as const;
const FLAGS = { file: '0', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' } as const;

const MOST_LAYERS = 16;
/** Bytes of a list of entries. Each entry has four, and becomes a thousand or more. */
const MOST_ENTRIES = 8192;
/** Bytes of the largest input whose result is checked and merged again. Larger ones are read and merged too. */
const MOST_REPEATED = 4096;

/** What an entry has besides, by three bits of its first byte, if it has anything: one more bit says so. */
const SHAPES = [
  'content',
  'content',
  'attributes',
  'attributes',
  'largest',
  'largest',
  'many',
  'many and large',
] as const;
/** Sizes at which the last bytes of a file go to another place, without and with attributes. */
const SIZES = [1, 3000, 4012, 4016, 4031, 4032, 4033, 4095, 4096, 4097, 8127, 8128, 8129, 8192, 8193, 20_000] as const;
/** Bytes of attributes: few, as many as leave a little of a block, and more than a block. */
const VALUES = [0, 1, 255, 3900, 4000, 4020, 4096, 9000] as const;
/** How many entries one of many becomes: more names than a block has. */
const COPIES = 48;
/** Bytes of all archives of an input, and of those that are merged more than once. */
const MOST_ARCHIVE_BYTES = 2 << 20;
const MOST_ARCHIVE_REPEATED = 256 << 10;
/** The largest number of a user. */
const MOST_ID = 2 ** 32 - 2;

/** Behind the path of a link: a name that is too long, and the longest that there is. */
const LONG = ['n'.repeat(300), 'n'.repeat(255)] as const;

/**
 * Four bytes: a type, what it has besides, a path, the path of a link, and whether it begins a layer.
 * @param isShaped it has something besides; no such entry is refused
 */
function entriesOf(
  bytes: Buffer,
  isShaped: boolean,
): { readonly entries: readonly TarEntry[]; readonly isNewLayer: boolean } {
  const [kind = 0, first = 0, second = 0, more = 0] = bytes;
  const shape = isShaped || kind & 0x40 ? SHAPES[(kind >> 3) & 7] : undefined;
  const path = (from: number, to: number) => {
    const parts = [PARTS[from % PARTS.length], PARTS[to % PARTS.length]];
    return parts.slice(0, 1 + (from >> 7)).join('/');
  };
  const flag = TYPES[kind & 7] ?? '0';
  const type = flag === '1' && shape !== undefined ? '0' : flag;
  const long = type === '2' && more & 16 ? `/${LONG[more & 8 ? 0 : 1]}` : '';
  const link = type === '2' || type === '1' ? `${more & 64 ? '/' : ''}${path(second, more)}${long}` : '';
  const size = shape === 'content' || shape === 'many and large' ? (SIZES[second & 15] ?? 0) : 0;
  const entry = {
    type,
    link: Buffer.from(link, 'latin1'),
    data: type === '0' ? `${first}`.padEnd(size, `${more} `) : '',
    mode: first,
    uid: shape === 'largest' ? MOST_ID - second : second,
    gid: shape === 'largest' ? MOST_ID - more : more,
    mtime: kind,
    // No device 0:0, which is refused.
    ...(shape === 'largest' ? { major: 4095 - second, minor: (more << 12) | 1 } : { major: 1 + second, minor: more }),
    pax: attributesOf(shape, second, more),
  };
  const copies = shape?.startsWith('many') ? COPIES : 1;
  const names = Array.from(
    { length: copies },
    (_, at) => `m${first & 1}/${'n'.repeat((at * second) % 200)}${first + at}`,
  );
  return {
    entries: (shape === undefined ? [path(first, second)] : names).map((one) => ({
      ...entry,
      name: Buffer.from(one, 'latin1'),
    })),
    isNewLayer: (kind & 0x80) !== 0,
  };
}

function attributesOf(shape: (typeof SHAPES)[number] | undefined, second: number, more: number) {
  if (shape !== 'attributes') return more & 32 ? { 'SCHILY.xattr.user.a': Buffer.of(more) } : {};
  const value = Buffer.alloc(VALUES[second & 7] ?? 0, more);
  // Long values come 1 to 4 at a time, short ones up to 256.
  const count = value.length > 255 ? 1 + (more & 3) : 1 + more;
  const names = Array.from({ length: count }, (_, at) => `user.${'n'.repeat((second >> 3) * (at & 7))}${at}`);
  return Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, value]));
}

function layersOf(data: Buffer): Buffer[] {
  if ((data[0] ?? 0) & 1) {
    // Nothing would be read but the sum, which is hard to guess.
    const archive = Buffer.alloc(Math.ceil((data.length - 1) / BLOCK) * BLOCK);
    data.copy(archive, 0, 1);
    for (let at = 0; at < archive.length; at += BLOCK) withChecksum(archive.subarray(at, at + BLOCK));
    return [archive];
  }
  const layers: Buffer[][] = [[]];
  const isShaped = ((data[0] ?? 0) & 2) !== 0;
  let bytes = 0;
  for (let at = 1; at + 4 <= Math.min(data.length, MOST_ENTRIES); at += 4) {
    const { entries, isNewLayer } = entriesOf(data.subarray(at, at + 4), isShaped);
    if (isNewLayer && layers.length < MOST_LAYERS) layers.push([]);
    for (const entry of entries) {
      const blocks = tarEntry(entry);
      bytes += blocks.length;
      if (bytes > MOST_ARCHIVE_BYTES) return layers.map(archiveOf);
      layers.at(-1)?.push(blocks);
    }
  }
  return layers.map(archiveOf);
}

function archiveOf(blocks: readonly Buffer[]): Buffer {
  return Buffer.concat([...blocks, tarOf()]);
}

async function mergeAll(archives: readonly Buffer[], piece: number): Promise<Buffer> {
  const layers: StoredLayer[] = archives.map((archive, at) => ({
    which: `layer ${at + 1}`,
    compression: 'none',
    diffId: digestOf(archive),
    open: async function* () {
      for (let from = 0; from < archive.length; from += piece) yield archive.subarray(from, from + piece);
    },
  }));
  return imageOfMerge(await indexLayers(layers), layers);
}

/** What is read of an image for `diff` is what is in it. */
function checkReader(image: Buffer, entries: readonly ErofsEntry[]): void {
  const reader = new ErofsReader(putFile('image', image));
  const found: object[] = [];
  const walk = (number: number, name: string): void => {
    const inode = reader.inode(number);
    const { mode, uid, gid, mtimeNs, device } = inode;
    const isDirectory = inode.kind === 'directory';
    const content = isDirectory ? '' : Buffer.concat([...reader.data(inode)]).toString('latin1');
    const xattrs = reader.attributes(inode);
    found.push({
      name,
      number,
      mode: mode & 0o7777,
      uid,
      gid,
      mtime: Number(mtimeNs / 1_000_000_000n),
      device,
      content,
      xattrs,
    });
    const above = name === './' ? '' : name;
    if (!isDirectory) return;
    for (const [child, at] of reader.entries(inode))
      walk(at, `${above}${child}${reader.inode(at).kind === 'directory' ? '/' : ''}`);
  };
  walk(reader.root, './');
  reader.close();
  assert.deepEqual(
    found,
    entries.map((entry) => {
      const { name, number, mode, uid, gid, mtime, content } = entry;
      const xattrs = [...entry.xattrs].map(attributeText).sort();
      return { name, number, mode, uid, gid, mtime, device: deviceOf(entry), content, xattrs };
    }),
  );
}

/** An attribute as the reader shows it: EROFS has a number for what its name begins with. */
function attributeText([name, value]: readonly [string, string]): string {
  return `${name.startsWith('user.') ? 1 : 6}:${name.slice(name.indexOf('.') + 1)}=${value}`;
}

/** The number of a device as stat(2) has it: 12 bits of the major number within 20 of the minor one. */
function deviceOf({ major, minor }: ErofsEntry): number {
  return (minor >>> 8) * 2 ** 20 + major * 2 ** 8 + (minor & 0xff);
}

/** Names that no layer has left, and none of a layer's own. */
function checkNames(entries: readonly ErofsEntry[]): void {
  for (const { name } of entries)
    for (const part of name.replace(/^\.\/$|\/$/, '').split('/'))
      assert.ok(part !== '.' && part !== '..' && !part.startsWith('.wh.'), name);
}

/** The layer that unpacks to what is in an image. */
function layerOf(entries: readonly ErofsEntry[]): Buffer {
  const first = new Map<number, string>();
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  return tarOf(
    ...entries.map(({ name, type, number, content, xattrs, ...attributes }): TarEntry => {
      const other = first.get(number);
      if (other !== undefined) return { name: bytes(name), type: '1', link: bytes(other) };
      first.set(number, name);
      return {
        ...attributes,
        name: bytes(name),
        type: FLAGS[type],
        ...(type === 'symlink' ? { link: bytes(content) } : { data: bytes(content) }),
        pax: Object.fromEntries([...xattrs].map(([key, value]) => [`SCHILY.xattr.${key}`, bytes(value)])),
      };
    }),
  );
}

/** Without the numbers of inodes, which the order of layers decides. */
function withoutNumbers(entries: readonly ErofsEntry[]): readonly object[] {
  const first = new Map<number, string>();
  return entries.map(({ number, ...entry }) => {
    const other = first.get(number) ?? entry.name;
    first.set(number, other);
    return { ...entry, other };
  });
}

export const target: Target = {
  kind: 'async',
  mostBytes: 2048,
  quickRuns: 100,
  repeats: true,
  async read(data) {
    const layers = layersOf(data);
    const whole = await settledOrRefused(mergeAll(layers, 1 << 20), SandboxError);
    if (data.length > MOST_REPEATED) return;
    const isSmall = layers.reduce((sum, { length }) => sum + length, 0) <= MOST_ARCHIVE_REPEATED;
    if (isSmall) assert.deepEqual(await settledOrRefused(mergeAll(layers, 1000), SandboxError), whole);
    if (whole === undefined) return;
    const entries = readErofs(whole);
    checkNames(entries);
    checkReader(whole, entries);
    if (!isSmall) return;
    const again = await mergeAll([layerOf(entries)], 1 << 20);
    assert.deepEqual(withoutNumbers(readErofs(again)), withoutNumbers(entries));
  },
};
