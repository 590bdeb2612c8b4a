/** Layers for tests, and what they are merged to. */
import type { OutputFile } from '../../../src/oci/erofs/output.js';
import { type WriteOptions, writeErofs } from '../../../src/oci/layers/erofs-image.js';
import { planErofs } from '../../../src/oci/layers/erofs-plan.js';
import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../src/oci/layers/layer-stream.js';
import type { Merge } from '../../../src/oci/layers/merge.js';
import { type Digest, digestOf } from '../../../src/oci-names/digest.js';
import { type ErofsEntry, readErofs } from './erofs.js';
import { type TarEntry, tarOf } from './tar.js';

const UUID = '0123456789abcdef0123456789abcdef';

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

/** The image that layers, which are given by their entries, are merged to. */
export async function mergedImage(...layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<Buffer> {
  const stored = layers.map((layer, at) =>
    memoryLayer(Buffer.isBuffer(layer) ? layer : tarOf(...(layer as readonly TarEntry[])), {
      which: `layer ${at + 1}`,
    }),
  );
  return imageOfMerge(await indexLayers(stored), stored);
}

/** The image of layers that were merged. */
export async function imageOfMerge(
  merge: Merge,
  layers: readonly StoredLayer[],
  options: Partial<WriteOptions> = {},
): Promise<Buffer> {
  const file = new MemoryFile();
  await writeErofs(file, merge, await planErofs(merge), layers, { uuid: UUID, ...options });
  return file.content();
}

/** A file in memory that takes little at a time, as a disk may. */
class MemoryFile implements OutputFile {
  #data = Buffer.alloc(1 << 16);
  #length = 0;

  async write(data: Uint8Array, offset: number, length: number, position: number) {
    const bytesWritten = Math.min(length, 100_000);
    this.#reach(position + bytesWritten);
    this.#data.set(data.subarray(offset, offset + bytesWritten), position);
    return { bytesWritten };
  }

  async truncate(length: number): Promise<void> {
    this.#reach(length);
    this.#length = length;
  }

  content(): Buffer {
    return Buffer.from(this.#data.subarray(0, this.#length));
  }

  #reach(length: number): void {
    this.#length = Math.max(this.#length, length);
    if (length > this.#data.length) this.#data = Buffer.concat([this.#data], 2 * length);
  }
}

/** What layers are merged to. */
export async function mergedEntries(...layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<ErofsEntry[]> {
  return readErofs(await mergedImage(...layers));
}

/**
 * What layers are merged to, in one line for each path: `dir/ 755`, `file: content`, `link -> target`, `hard = first`,
 * `device c 1,3`.
 */
export async function merged(...layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<string[]> {
  const first = new Map<number, string>();
  return (await mergedEntries(...layers))
    .filter(({ name }) => name !== './')
    .map(({ name, number, type, mode, content, major, minor }) => {
      if (type === 'directory') return `${name} ${mode.toString(8)}`;
      const other = first.get(number);
      if (other !== undefined) return `${name} = ${other}`;
      first.set(number, name);
      if (type === 'symlink') return `${name} -> ${content}`;
      if (type === 'file') return `${name}: ${content}`;
      return type === 'fifo' ? `${name} fifo` : `${name} ${type} ${major},${minor}`;
    })
    .sort();
}
