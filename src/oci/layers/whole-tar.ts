/**
 * The second pass over an image: one tar archive of what has survived, for a program that makes a file system of it.
 * Directories come first, since that program would make up attributes for those that come late. Content follows in the
 * order of the layers, each read once, and then the further names of files that have several. The same layers make the
 * same bytes.
 */
import { crc32 } from 'node:zlib';
import { TarError } from '../tar/pieces.js';
import { type TarEntry, TarReader } from '../tar/reader.js';
import { END, type HeaderFields, headerBlocks, paddingBehind } from '../tar/writer.js';
import { layerProblem, layerStream, type StoredLayer } from './layer-stream.js';
import type { Merge } from './merge.js';
import { findSurvivors, type Survivors } from './survivors.js';
import { keptXattrs } from './xattrs.js';

/** A link has no mode of its own on Linux: it shows this one everywhere. */
const LINK_MODE = 0o777;
/** Bytes that are handed on at a time, at least. */
const PIECE = 256 << 10;

/** Sees the contents of some inodes. */
export type Taps = ReadonlyMap<number, (piece: Buffer) => void>;

export interface WholeTarOptions {
  readonly signal?: AbortSignal | undefined;
  readonly taps?: Taps;
  /** Gets the CRC-32 of all content, by inodes; as long as there are inodes. */
  readonly sums?: Uint32Array;
  /** Of the merge, if they are known already. */
  readonly survivors?: Survivors;
}

/**
 * @param layers the same ones as in the first pass
 * @throws {SandboxError} `layer-invalid`, `layer-too-large`, `zstd-missing`, `aborted`, and those of reading
 */
export async function* wholeTar(
  merge: Merge,
  layers: readonly StoredLayer[],
  options: WholeTarOptions = {},
): AsyncGenerator<Buffer> {
  const batch = new Batch();
  const { survivors = findSurvivors(merge) } = options;
  const { tree } = merge;
  for (const node of survivors.directories) {
    batch.add(headerBlocks({ ...bare(`${tree.path(node)}/`, 'directory'), ...tree.attributes(node) }));
    if (batch.isFull) yield batch.take();
  }
  yield* contents(merge, survivors, layers, batch, options);
  for (const node of survivors.links) {
    const first = survivors.firstNames[tree.inode(node)] ?? 0;
    batch.add(headerBlocks({ ...bare(tree.path(node), 'link'), link: tree.path(first) }));
    if (batch.isFull) yield batch.take();
  }
  batch.add(END);
  while (!batch.isEmpty) yield batch.take();
}

function bare(name: string, type: TarEntry['type']): HeaderFields {
  // The root's own entry.
  const path = name === '/' ? './' : name;
  return {
    name: path,
    type,
    link: '',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: 0,
    major: 0,
    minor: 0,
    xattrs: undefined,
  };
}

/** What is no directory, with its content. */
async function* contents(
  merge: Merge,
  { firstNames }: Survivors,
  layers: readonly StoredLayer[],
  batch: Batch,
  { signal, taps, sums }: WholeTarOptions,
): AsyncGenerator<Buffer> {
  const { layer: layerOf, entry: entryOf } = merge.inodes.columns;
  let inode = 1;
  for (const [at, layer] of layers.entries()) {
    // What no name leads to any more need not be read.
    let last = -1;
    for (let next = inode; layerOf[next] === at + 1 && next < merge.inodes.rows; next += 1)
      if (firstNames[next] !== 0) last = entryOf[next] ?? 0;
    const reader = new TarReader(layerStream(layer, { count: 0 }, { isChecked: true, signal }));
    try {
      for (let ordinal = 0; ordinal <= last; ordinal += 1) {
        const entry = await reader.next();
        if (entry === undefined) throw new TarError('has changed since it was checked');
        if (layerOf[inode] !== at + 1 || entryOf[inode] !== ordinal) continue;
        const node = firstNames[inode] ?? 0;
        const tap = taps?.get(inode);
        const own = inode;
        inode += 1;
        if (node === 0) continue;
        const fields = {
          ...entry,
          name: merge.tree.path(node),
          mode: entry.type === 'symlink' ? LINK_MODE : entry.mode & 0o7777,
        };
        batch.add(
          headerBlocks({
            ...fields,
            link: entry.type === 'symlink' ? entry.link : '',
            xattrs: keptXattrs(entry.xattrs),
          }),
        );
        for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) {
          batch.add(piece);
          tap?.(piece);
          if (sums !== undefined) sums[own] = crc32(piece, sums[own]);
          if (batch.isFull) yield batch.take();
        }
        batch.pad(paddingBehind(entry.size));
        if (batch.isFull) yield batch.take();
      }
    } catch (error) {
      throw await layerProblem(error, layer, signal);
    } finally {
      await reader.close();
    }
    while (layerOf[inode] === at + 1 && inode < merge.inodes.rows) inode += 1;
  }
}

/** Small pieces as large ones: each that is handed on costs a wake-up. */
class Batch {
  #data = Buffer.allocUnsafeSlow(PIECE);
  #length = 0;
  readonly #full: Buffer[] = [];

  get isFull(): boolean {
    return this.#full.length > 0;
  }

  add(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      const count = piece.copy(this.#data, this.#length, at);
      at += count;
      this.#length += count;
      if (this.#length === this.#data.length) {
        this.#full.push(this.#data);
        this.#data = Buffer.allocUnsafeSlow(PIECE);
        this.#length = 0;
      }
    }
  }

  pad(length: number): void {
    if (length > 0) this.add(END.subarray(0, length));
  }

  get isEmpty(): boolean {
    return this.#length === 0 && !this.isFull;
  }

  /** What is full, or else what there is. */
  take(): Buffer {
    const full = this.#full.splice(0);
    if (full.length > 0) return full.length === 1 && full[0] !== undefined ? full[0] : Buffer.concat(full);
    const rest = this.#data.subarray(0, this.#length);
    this.#data = Buffer.allocUnsafeSlow(PIECE);
    this.#length = 0;
    return rest;
  }
}
