/** Where everything of a merged image will lie in its EROFS image. All sizes are known, so it is written in one go. */

import { attributeUnits, BLOCK, directorySize, extentOf } from '../erofs/format.js';
import { InodeRoom } from '../erofs/inode-room.js';
import type { Merge } from './merge.js';
import type { Node, Tree } from './tree.js';

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

/** The image has the directories first, then all else in the order of the layers: so is it read. */
export function planErofs({ tree, inodes }: Merge): ErofsPlan {
  const { size, xattrs } = inodes.columns;
  const links = new Uint32Array(inodes.rows);
  const directories = findDirectories(tree, links);
  const directorySizes = new Float64Array(directories.length);
  const directoryNumbers = new Uint32Array(tree.rows);
  const numbers = new Uint32Array(inodes.rows);
  const room = new InodeRoom();
  let [blocks, count] = [0, directories.length];
  for (const [at, directory] of directories.entries()) {
    const bytes = directorySize(namesIn(tree, directory));
    const extent = extentOf(bytes, attributeUnits(tree.attributes(directory).xattrs));
    directorySizes[at] = bytes;
    directoryNumbers[directory] = room.take(extent.length);
    blocks += extent.blocks;
  }
  for (let inode = 1; inode < inodes.rows; inode += 1) {
    if (links[inode] === 0) continue;
    const extent = extentOf(size[inode] ?? 0, xattrs[inode] ?? 0);
    numbers[inode] = room.take(extent.length);
    blocks += extent.blocks;
    count += 1;
  }
  const shape = { inodes: count, contentAt: room.blocks, blocks: room.blocks + blocks };
  return { directories, directorySizes, directoryNumbers, numbers, links, ...shape };
}

/** Goes through the tree in the order of the names' bytes, and counts the names of all that is no directory. */
function findDirectories(tree: Tree, links: Uint32Array): Uint32Array {
  let found = new Uint32Array(1024);
  let count = 0;
  const stack = [tree.root];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (count === found.length) {
      const larger = new Uint32Array(2 * count);
      larger.set(found);
      found = larger;
    }
    found[count] = at;
    count += 1;
    for (const child of tree.childrenFromLast(at)) {
      const inode = tree.inode(child);
      if (inode === 0) stack.push(child);
      else links[inode] = (links[inode] ?? 0) + 1;
    }
  }
  return found.slice(0, count);
}

/** The names of a directory in the order of their bytes, with its own and that of the directory above. */
export function* namesIn(tree: Tree, directory: Node): Generator<string> {
  for (const [name] of entriesIn(tree, directory)) yield name;
}

/** The same, each with its node. */
export function* entriesIn(tree: Tree, directory: Node): Generator<readonly [name: string, node: Node]> {
  const own: (readonly [string, Node])[] = [
    ['.', directory],
    ['..', directory === tree.root ? directory : tree.parent(directory)],
  ];
  const children = tree.childrenFromLast(directory);
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
