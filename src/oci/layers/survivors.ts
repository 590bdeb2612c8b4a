/** What of an image has survived when its layers are merged: names, and how much room its content takes. */
import { MOST_NAMES_OF_DIRECTORY } from '../limits.js';
import { BLOCK } from '../tar/header.js';
import { tooMuch } from './errors.js';
import type { Merge } from './merge.js';
import type { Node } from './tree.js';

export interface Survivors {
  readonly directories: readonly Node[];
  /** One name of each inode; 0: it has none any more. */
  readonly firstNames: Uint32Array;
  /** All further names. */
  readonly links: readonly Node[];
  /** Bytes of content, in blocks of tar. */
  readonly content: number;
  /** Bytes that the making of an image takes on a disk, about: mkfs.erofs writes all content twice. */
  readonly room: number;
}

/** Bytes of an inode and of a name in an image, about. */
const NAME = 64;
/** Bytes of a disk's block, in which the first copy of a file begins. */
const DISK_BLOCK = 4096;

/**
 * Goes through the tree in the order of the names' bytes.
 * @throws {SandboxError} `layer-too-large`: a directory has more names than mkfs.erofs can make in time
 */
export function findSurvivors({ tree, inodes }: Merge): Survivors {
  const { blocks } = inodes.columns;
  const directories: Node[] = [];
  const links: Node[] = [];
  const firstNames = new Uint32Array(inodes.rows);
  let [content, room] = [0, 0];
  const stack = [tree.root];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    room += NAME;
    const inode = tree.inode(at);
    if (inode === 0) {
      directories.push(at);
      const names = tree.childrenFromLast(at);
      if (names.length > MOST_NAMES_OF_DIRECTORY)
        throw tooMuch('the image', `${names.length} names in one directory`, tree.path(at));
      for (const node of names) stack.push(node);
    } else if (firstNames[inode] === 0) {
      firstNames[inode] = at;
      const bytes = BLOCK * (blocks[inode] ?? 0);
      content += bytes;
      room += bytes + DISK_BLOCK * Math.ceil(bytes / DISK_BLOCK);
    } else links.push(at);
  }
  return { directories, firstNames, links, content, room };
}
