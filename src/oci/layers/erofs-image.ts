/**
 * The second pass over an image: all that has survived becomes an EROFS image. Each layer is read once, and no content is
 * held. The same layers make the same bytes.
 */

import { Turns } from '../cancel.js';
import {
  attributeUnits,
  BLOCK,
  directoryBlocks,
  type Entry,
  extentOf,
  KINDS,
  LAST_BLOCKS,
  writeInode,
  writeSuperblock,
} from '../erofs/format.js';
import { ErofsOutput, type OutputFile } from '../erofs/output.js';
import { TarError } from '../tar/pieces.js';
import { type TarEntry, TarReader } from '../tar/reader.js';
import { checkEntry } from './budget.js';
import { type ErofsPlan, entriesIn } from './erofs-plan.js';
import { EntryError } from './errors.js';
import { CHANGED, layerProblem, layerStream, type StoredLayer } from './layer-stream.js';
import type { Merge } from './merge.js';
import { keptXattrs } from './xattrs.js';

/** A link has no mode of its own on Linux: it shows this one everywhere. */
const LINK_MODE = 0o777;

/** Blocks of directories that are written before others have their turn: the disk is waited for at few of them. */
const BLOCKS_OF_A_TURN = 100;

/** Sees the contents of some inodes. */
export type Taps = ReadonlyMap<number, (piece: Buffer) => void>;

export interface WriteOptions {
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  readonly signal?: AbortSignal | undefined;
  readonly taps?: Taps;
}

/**
 * Writes an image to an empty file.
 * @param layers the same ones as in the first pass
 * @throws {SandboxError} `layer-invalid`, `layer-too-large`, `zstd-missing`, `aborted`, and those of reading
 * @throws the error of a system call
 */
export async function writeErofs(
  file: OutputFile,
  merge: Merge,
  plan: ErofsPlan,
  layers: readonly StoredLayer[],
  options: WriteOptions,
): Promise<void> {
  const output = new ErofsOutput(file, plan.contentAt);
  const { inodes, blocks, directoryNumbers } = plan;
  const root = directoryNumbers[merge.tree.root] ?? 0;
  writeSuperblock(output.first(), { root, inodes, blocks, uuid: options.uuid });
  await writeDirectories(output, merge, plan, options.signal);
  await writeOthers(output, merge, plan, layers, options);
  const written = output.block + LAST_BLOCKS;
  if (written !== blocks) throw new Error(`an image has ${written} blocks in the place of ${blocks}`);
  await output.end();
  // The last blocks are zeros, and a block of inodes may be short of what was planned.
  await file.truncate(blocks * BLOCK);
}

async function writeDirectories(
  output: ErofsOutput,
  { tree, inodes }: Merge,
  plan: ErofsPlan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const turns = new Turns(BLOCKS_OF_A_TURN, signal);
  const { directories, directorySizes, directoryNumbers, numbers } = plan;
  const { kind: kinds } = inodes.columns;
  for (const [at, directory] of directories.entries()) {
    const size = directorySizes[at] ?? 0;
    const attributes = tree.attributes(directory);
    const extent = extentOf(size, attributeUnits(attributes.xattrs));
    const room = await output.inode(directoryNumbers[directory] ?? 0, extent.length);
    let links = 0;
    const entries = function* (): Generator<Entry> {
      for (const [name, node] of entriesIn(tree, directory)) {
        const inode = tree.inode(node);
        // Its own name, that in the directory above, and that which each directory in it has for it.
        if (inode === 0) links += 1;
        yield inode === 0
          ? { name, number: directoryNumbers[node] ?? 0, kind: KINDS.directory.number }
          : { name, number: numbers[inode] ?? 0, kind: kinds[inode] ?? 0 };
      }
    };
    const block = output.block;
    let left = extent.blocks;
    let tail: Buffer | undefined;
    for (const piece of directoryBlocks(entries())) {
      if (left > 0) await output.add(piece);
      else tail = piece;
      left -= 1;
      if (turns.isOver()) await turns.give();
    }
    await output.endBlock();
    const fields = {
      ...attributes,
      kind: 'directory',
      links,
      major: 0,
      minor: 0,
      size,
      block,
      serial: at + 1,
    } as const;
    const target = writeInode(room, extent, fields);
    tail?.copy(target);
  }
}

/** What is no directory, with its content. The digest of each layer that is read is compared once more. */
async function writeOthers(
  output: ErofsOutput,
  merge: Merge,
  plan: ErofsPlan,
  layers: readonly StoredLayer[],
  { signal, taps }: WriteOptions,
): Promise<void> {
  const { layer: layerOf, entry: entryOf } = merge.inodes.columns;
  const { links } = plan;
  let serial = plan.directories.length;
  let inode = 1;
  for (const [at, layer] of layers.entries()) {
    // What no name leads to any more need not be written.
    const first = inode;
    let last = -1;
    for (; layerOf[inode] === at + 1 && inode < merge.inodes.rows; inode += 1)
      if (links[inode] !== 0) last = entryOf[inode] ?? 0;
    // A layer of which nothing is left need not be read.
    if (last < 0) continue;
    let own = first;
    const reader = new TarReader(layerStream(layer, { count: 0 }, { pass: 2, signal }));
    try {
      for (let ordinal = 0; ordinal <= last; ordinal += 1) {
        const entry = await reader.next();
        if (entry === undefined) throw changed();
        if (entryOf[own] !== ordinal) continue;
        if (links[own] !== 0) {
          serial += 1;
          await writeOther(output, merge, plan, { entry, reader, inode: own, serial, tap: taps?.get(own) });
        }
        own += 1;
      }
      // What was written was checked only when all of the layer was read.
      await reader.drain();
    } catch (error) {
      throw await layerProblem(error, layer, signal);
    } finally {
      await reader.close();
    }
  }
}

interface Other {
  readonly entry: TarEntry;
  readonly reader: TarReader;
  readonly inode: number;
  readonly serial: number;
  readonly tap: ((piece: Buffer) => void) | undefined;
}

async function writeOther(
  output: ErofsOutput,
  { inodes }: Merge,
  { numbers, links }: ErofsPlan,
  { entry, reader, inode, serial, tap }: Other,
): Promise<void> {
  const { type: kind, uid, gid, mtime, major, minor, link } = entry;
  const size = inodes.columns.size[inode] ?? 0;
  checkAgain(entry);
  const xattrs = keptXattrs(entry.xattrs);
  const units = attributeUnits(xattrs);
  const isLink = kind === 'symlink';
  // A layer that was read once is the same the second time, or the room of others would be written over.
  if (kind === 'link' || kind === 'directory' || inodes.columns.kind[inode] !== KINDS[kind].number) throw changed();
  if (units !== inodes.columns.xattrs[inode] || size !== (isLink ? link.length : entry.size)) throw changed();
  const extent = extentOf(size, units);
  const room = await output.inode(numbers[inode] ?? 0, extent.length);
  const mode = isLink ? LINK_MODE : entry.mode & 0o7777;
  const fields = { kind, mode, uid, gid, mtime, links: links[inode] ?? 0, major, minor, xattrs, size, serial };
  const tail = writeInode(room, extent, { ...fields, block: output.block });
  if (isLink) {
    const target = Buffer.from(link, 'latin1');
    if (extent.blocks === 0) target.copy(tail);
    else await output.add(target);
  }
  /** Bytes that go into blocks, and bytes of the tail that are there. */
  let left = size - extent.tail;
  let filled = 0;
  for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) {
    tap?.(piece);
    const whole = Math.min(left, piece.length);
    if (whole > 0) await output.add(piece.subarray(0, whole));
    left -= whole;
    filled += piece.copy(tail, filled, whole);
  }
  await output.endBlock();
}

/** What the format has no room for was refused in the first pass. @throws {TarError} it is there now */
function checkAgain(entry: TarEntry): void {
  try {
    checkEntry(entry);
  } catch (error) {
    throw error instanceof EntryError ? changed(error) : error;
  }
}

function changed(cause?: unknown): TarError {
  return new TarError(CHANGED, { cause });
}
