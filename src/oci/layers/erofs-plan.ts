/** Where everything of a merged image will lie in its EROFS image. All sizes are known, so it is written in one go. */

import { Turns } from '../cancel.js';
import { attributeUnits, BLOCK, DirectorySize, extentOf, LAST_BLOCKS } from '../erofs/format.js';
import { InodeRoom } from '../erofs/inode-room.js';
import type { Merge } from './merge.js';
import type { Node, Tree } from './tree.js';

/** Names and inodes that are planned before others have their turn. */
const STEPS_OF_A_TURN = 10_000;

export interface ErofsPlan {
  /** Each before what is in it; the root is the first. */
  readonly directories: Uint32Array;
  /** Bytes of the directories, in the same order. */
  readonly directorySizes: Float64Array;
  /** Of the inodes of directories, by nodes. */
  readonly directoryNumbers: Uint32Array;
  /** Of all other inodes, by the numbers that they have in the merge. */
  readonly numbers: Uint32Array;
  /** How many names each of them has; 0: it has none any more. */
  readonly links: Uint32Array;
  /** How many inodes there are. */
  readonly inodes: number;
  /** The first block behind the inodes. */
  readonly contentAt: number;
  /** Of the whole image. */
  readonly blocks: number;
}

/**
 * The image has the directories first, then all else in the order of the layers: so is it read.
 * @throws {SandboxError} `aborted`
 */
export async function planErofs({ tree, inodes }: Merge, signal?: AbortSignal): Promise<ErofsPlan> {
  const { size, xattrs } = inodes.columns;
  const turns = new Turns(STEPS_OF_A_TURN, signal);
  const links = new Uint32Array(inodes.rows);
  const { directories, directorySizes } = await findDirectories(tree, links, turns);
  const directoryNumbers = new Uint32Array(tree.rows);
  const numbers = new Uint32Array(inodes.rows);
  const room = new InodeRoom();
  let [blocks, count] = [0, directories.length];
  for (const [at, directory] of directories.entries()) {
    if (turns.isOver()) await turns.give();
    const extent = extentOf(directorySizes[at] ?? 0, attributeUnits(tree.attributes(directory).xattrs));
    directoryNumbers[directory] = room.take(extent.length);
    blocks += extent.blocks;
  }
  for (let inode = 1; inode < inodes.rows; inode += 1) {
    if (turns.isOver()) await turns.give();
    if (links[inode] === 0) continue;
    const extent = extentOf(size[inode] ?? 0, xattrs[inode] ?? 0);
    numbers[inode] = room.take(extent.length);
    blocks += extent.blocks;
    count += 1;
  }
  const shape = { inodes: count, contentAt: room.blocks, blocks: room.blocks + blocks + LAST_BLOCKS };
  return { directories, directorySizes, directoryNumbers, numbers, links, ...shape };
}

/** Goes through the tree in the order of the names' bytes, and counts the names of all that is no directory. */
async function findDirectories(
  tree: Tree,
  links: Uint32Array,
  turns: Turns,
): Promise<Pick<ErofsPlan, 'directories' | 'directorySizes'>> {
  let directories = new Uint32Array(1024);
  let directorySizes = new Float64Array(1024);
  let count = 0;
  const stack = [tree.root];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (count === directories.length) {
      const [old, oldSizes] = [directories, directorySizes];
      directories = new Uint32Array(2 * count);
      directorySizes = new Float64Array(2 * count);
      directories.set(old);
      directorySizes.set(oldSizes);
    }
    const size = new DirectorySize();
    const children = tree.childrenFromLast(at);
    for (const [name] of entriesOf(tree, at, children)) {
      size.add(name);
      if (turns.isOver()) await turns.give();
    }
    for (const child of children) {
      const inode = tree.inode(child);
      if (inode === 0) stack.push(child);
      else links[inode] = (links[inode] ?? 0) + 1;
    }
    directories[count] = at;
    directorySizes[count] = size.bytes;
    count += 1;
  }
  return { directories: directories.slice(0, count), directorySizes: directorySizes.slice(0, count) };
}

/** The names of a directory in the order of their bytes, with its own and that of the directory above, and their nodes. */
export function entriesIn(tree: Tree, directory: Node): Generator<readonly [name: string, node: Node]> {
  return entriesOf(tree, directory, tree.childrenFromLast(directory));
}

/** @param children what Tree.childrenFromLast says */
function* entriesOf(
  tree: Tree,
  directory: Node,
  children: Uint32Array,
): Generator<readonly [name: string, node: Node]> {
  const own: (readonly [string, Node])[] = [
    ['.', directory],
    ['..', directory === tree.root ? directory : tree.parent(directory)],
  ];
  for (let at = children.length - 1; at >= 0; at -= 1) {
    const child = children[at] ?? 0;
    const name = tree.name(child);
    // Characters of latin1 are compared as bytes are.
    for (let first = own[0]; first !== undefined && first[0] < name; first = own[0]) {
      yield first;
      own.shift();
    }
    yield [name, child];
  }
  yield* own;
}

/** Bytes of an image. */
export function sizeOf({ blocks }: ErofsPlan): number {
  return blocks * BLOCK;
}
