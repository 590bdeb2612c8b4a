/** Layers of an image, as archives of any bytes and as lists of entries: what they are merged to is one whole archive. */
import assert from 'node:assert/strict';
import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../src/oci/layers/layer-stream.js';
import { wholeTar } from '../../../src/oci/layers/whole-tar.js';
import { type TarEntry, TarReader, type TarType } from '../../../src/oci/tar/reader.js';
import { END, headerBlocks, paddingBehind } from '../../../src/oci/tar/writer.js';
import { digestOf } from '../../../src/oci-names/digest.js';
import { SandboxError } from '../../../src/util/errors.js';
import { BLOCK, withChecksum } from '../../helpers/oci/tar.js';
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
const TYPES: readonly TarType[] = ['file', 'directory', 'symlink', 'link', 'file', 'character', 'fifo', 'directory'];

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
  const type = TYPES[kind & 7] ?? 'file';
  const long = type === 'symlink' && more & 16 ? `/${LONG[more & 8 ? 0 : 1]}` : '';
  const content = Buffer.from(type === 'file' ? `${first}` : '');
  const blocks = headerBlocks({
    name: path(first, second),
    type,
    link: type === 'symlink' || type === 'link' ? `${more & 64 ? '/' : ''}${path(second, more)}${long}` : '',
    mode: first,
    uid: second,
    gid: more,
    mtime: kind,
    size: content.length,
    major: 0,
    minor: 0,
    xattrs: more & 32 ? new Map([['user.a', String.fromCharCode(more)]]) : undefined,
  });
  const padded = Buffer.concat([blocks, content, Buffer.alloc(paddingBehind(content.length))]);
  return { blocks: padded, isNewLayer: (kind & 0x80) !== 0 };
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
  return layers.map((blocks) => Buffer.concat([...blocks, END]));
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
  const merge = await indexLayers(layers);
  const pieces: Buffer[] = [];
  for await (const part of wholeTar(merge, layers)) pieces.push(Buffer.from(part));
  return Buffer.concat(pieces);
}

/** Each name once, in its directory, and each hard link to what was there before it. */
async function checkWhole(archive: Buffer): Promise<void> {
  const reader = new TarReader(
    (async function* () {
      yield archive;
    })(),
  );
  const seen = new Map<string, TarEntry>();
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const name = entry.name.replace(/\/$/, '');
    assert.ok(!seen.has(name), name);
    const parts = name.split('/');
    assert.ok(
      name === '.' || parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.startsWith('.wh.')),
    );
    const parent = parts.slice(0, -1).join('/');
    if (name !== '.') assert.equal(seen.get(parent === '' ? '.' : parent)?.type, 'directory', name);
    if (entry.type === 'link') {
      const target = seen.get(entry.link);
      assert.ok(target !== undefined && target.type !== 'directory' && target.type !== 'link', name);
    }
    seen.set(name, entry);
  }
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
    await checkWhole(whole);
    assert.deepEqual(await mergeAll([whole], 1 << 20), whole);
  },
};
