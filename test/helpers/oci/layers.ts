/** Layers for tests, and what they are merged to. */

import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../src/oci/layers/layer-stream.js';
import { wholeTar } from '../../../src/oci/layers/whole-tar.js';
import { type TarEntry as ReadEntry, TarReader } from '../../../src/oci/tar/reader.js';
import { type Digest, digestOf } from '../../../src/oci-names/digest.js';
import { type TarEntry, tarOf } from './tar.js';

/** A layer whose bytes are in memory, in pieces of some KiB. */
export function memoryLayer(
  bytes: Buffer,
  more: Partial<StoredLayer> & { readonly diffId?: Digest } = {},
): StoredLayer {
  return {
    which: 'layer 1',
    compression: 'none',
    diffId: digestOf(bytes),
    open: async function* () {
      for (let at = 0; at < bytes.length; at += 40_000) yield bytes.subarray(at, at + 40_000);
    },
    ...more,
  };
}

export interface MergedEntry extends ReadEntry {
  readonly content: string;
}

/** The merged archive of layers that are given by their entries. */
export async function mergedTar(...layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<Buffer> {
  const stored = layers.map((layer, at) =>
    memoryLayer(Buffer.isBuffer(layer) ? layer : tarOf(...(layer as readonly TarEntry[])), {
      which: `layer ${at + 1}`,
    }),
  );
  const merge = await indexLayers(stored);
  const pieces: Buffer[] = [];
  for await (const piece of wholeTar(merge, stored)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The entries of an archive in its order, with their contents. */
export async function entriesOf(archive: Buffer): Promise<MergedEntry[]> {
  const reader = new TarReader(
    (async function* () {
      yield archive;
    })(),
  );
  const entries: MergedEntry[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const content: Buffer[] = [];
    for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) content.push(piece);
    entries.push({ ...entry, content: Buffer.concat(content).toString('latin1') });
  }
  return entries;
}

/**
 * What layers are merged to, in one line for each path: `dir/ 755`, `file: content`, `link -> target`, `hard = first`,
 * `device c 1,3`.
 */
export async function merged(...layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<string[]> {
  return (await entriesOf(await mergedTar(...layers)))
    .filter(({ name }) => name !== './')
    .map(({ name, type, mode, content, link, major, minor }) => {
      if (type === 'directory') return `${name} ${mode.toString(8)}`;
      if (type === 'symlink') return `${name} -> ${link}`;
      if (type === 'link') return `${name} = ${link}`;
      if (type === 'file') return `${name}: ${content}`;
      return type === 'fifo' ? `${name} fifo` : `${name} ${type} ${major},${minor}`;
    })
    .sort();
}
