/** Finds files in the file system of an image by their paths. Its links lead to its own files. */
import { ErofsError, type ErofsInode, ErofsReader } from './reader.js';

/** As the kernel has it. */
const MOST_LINKS = 40;
/**
 * Names that are read to find some files: a tenth of a second. An image may have directories and links that make more of
 * each look.
 */
const MOST_NAMES = 1_000_000;

/** A file that a path leads to. */
export interface FoundFile {
  readonly kind: ErofsInode['kind'];
  readonly size: number;
  readonly mode: number;
  /** Of a symbolic link that is not followed: where it leads. */
  readonly target: string | undefined;
}

/** Looks into an image by paths. @param follow also a link that the file itself is */
export type LookUp = (path: string, follow?: boolean) => FoundFile | undefined;

/**
 * Lends a way to look into an image.
 * @param path of the image
 * @param most names that it may take
 * @throws {ErofsError} also of an image that takes more
 * @throws a system error
 */
export function withLookUp<T>(path: string, use: (lookUp: LookUp) => T, most = MOST_NAMES): T {
  const reader = new ErofsReader(path);
  const budget = { left: most };
  try {
    return use((file, follow = false) => found(reader, file, follow, budget));
  } finally {
    reader.close();
  }
}

interface Budget {
  left: number;
}

function found(reader: ErofsReader, path: string, follow: boolean, budget: Budget): FoundFile | undefined {
  const inode = walk(reader, path, follow, budget);
  if (inode === undefined) return undefined;
  const { kind, size, mode } = inode;
  return { kind, size, mode, target: kind === 'symlink' ? reader.target(inode) : undefined };
}

/** From the topmost directory down. Links above the file are followed. */
function walk(reader: ErofsReader, path: string, follow: boolean, budget: Budget): ErofsInode | undefined {
  const root = reader.inode(reader.root);
  // The directories that it is in, the topmost first.
  let way: ErofsInode[] = [root];
  const names = partsOf(path);
  for (let links = 0; names.length > 0; ) {
    const name = names.shift() ?? '';
    const last = way.at(-1) ?? root;
    if (last.kind !== 'directory') return undefined;
    if (name === '..') way = way.length > 1 ? way.slice(0, -1) : way;
    else {
      const inode = entryOf(reader, last, name, budget);
      if (inode === undefined) return undefined;
      if (inode.kind !== 'symlink' || (names.length === 0 && !follow)) way.push(inode);
      else {
        links += 1;
        if (links > MOST_LINKS) return undefined;
        const target = reader.target(inode);
        if (target.startsWith('/')) way = [root];
        names.unshift(...partsOf(target));
      }
    }
  }
  return way.at(-1);
}

function entryOf(reader: ErofsReader, directory: ErofsInode, wanted: string, budget: Budget): ErofsInode | undefined {
  for (const [name, number] of reader.entries(directory)) {
    budget.left -= 1;
    if (budget.left < 0) throw new ErofsError('its links and directories are too many to find a file');
    if (name === wanted) return reader.inode(number);
  }
  return undefined;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
