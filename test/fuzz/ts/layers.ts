/** Layers of an image, as archives of any bytes and as lists of entries: what they are merged to is one EROFS image. */
import assert from 'node:assert/strict';
import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../src/oci/layers/layer-stream.js';
import { digestOf } from '../../../src/oci-names/digest.js';
import { SandboxError } from '../../../src/util/errors.js';
import { type ErofsEntry, readErofs } from '../../helpers/oci/erofs.js';
import { imageOfMerge } from '../../helpers/oci/layers.js';
import { BLOCK, type TarEntry, tarEntry, tarOf, withChecksum } from '../../helpers/oci/tar.js';
import { settledOrRefused } from './support/expect.js';
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
/** Flags of tar: two of them are files, and two directories. */
const TYPES = ['0', '5', '2', '1', '0', '3', '6', '5'] as const;
const FLAGS = { file: '0', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' } as const;

/** Layers of an image, and the largest input that is merged more than once. */
const MOST_LAYERS = 16;
/** Bytes of a list of entries. Each entry becomes a thousand. */
const MOST_ENTRIES = 8192;
const MOST_REPEATED = 4096;

/** Behind the path of a link: a name that is too long, and the longest that there is. */
const LONG = ['n'.repeat(300), 'n'.repeat(255)] as const;

/** An entry of four bytes: its type, a path, the path of a link, and whether it begins a layer. */
function entryOf(bytes: Buffer): { readonly blocks: Buffer; readonly isNewLayer: boolean } {
  const [kind = 0, first = 0, second = 0, more = 0] = bytes;
  const path = (from: number, to: number) => {
    const parts = [PARTS[from % PARTS.length], PARTS[to % PARTS.length]];
    return parts.slice(0, 1 + (from >> 7)).join('/');
  };
  const type = TYPES[kind & 7] ?? '0';
  const long = type === '2' && more & 16 ? `/${LONG[more & 8 ? 0 : 1]}` : '';
  const link = type === '2' || type === '1' ? `${more & 64 ? '/' : ''}${path(second, more)}${long}` : '';
  const blocks = tarEntry({
    name: Buffer.from(path(first, second), 'latin1'),
    type,
    link: Buffer.from(link, 'latin1'),
    data: type === '0' ? `${first}` : '',
    mode: first,
    uid: second,
    gid: more,
    mtime: kind,
    ...(more & 32 ? { pax: { 'SCHILY.xattr.user.a': Buffer.of(more) } } : {}),
  });
  return { blocks, isNewLayer: (kind & 0x80) !== 0 };
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
  for (let at = 1; at + 4 <= Math.min(data.length, MOST_ENTRIES); at += 4) {
    const { blocks, isNewLayer } = entryOf(data.subarray(at, at + 4));
    if (isNewLayer && layers.length < MOST_LAYERS) layers.push([]);
    layers.at(-1)?.push(blocks);
  }
  return layers.map((blocks) => Buffer.concat([...blocks, tarOf()]));
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
  kind: 'settling',
  mostBytes: 2048,
  quickRuns: 200,
  repeats: true,
  async read(data) {
    const layers = layersOf(data);
    const whole = await settledOrRefused(mergeAll(layers, 1 << 20), SandboxError);
    if (data.length > MOST_REPEATED) return;
    assert.deepEqual(await settledOrRefused(mergeAll(layers, 1000), SandboxError), whole);
    if (whole === undefined) return;
    const entries = readErofs(whole);
    checkNames(entries);
    const again = await mergeAll([layerOf(entries)], 1 << 20);
    assert.deepEqual(withoutNumbers(readErofs(again)), withoutNumbers(entries));
  },
};
