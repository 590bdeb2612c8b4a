/**
 * A directory tree that is safe to unpack into: no name and no link of an archive leads out of it.
 *
 * Each part of a path is opened relative to the part before it, as openat(2) does with O_NOFOLLOW. Node has no openat,
 * but `/proc/self/fd/N/NAME` does the same (proc_pid_fd(5)). Symbolic links on the way are resolved here, with the tree
 * as their root, as in the initrd.
 */

import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { isSystemError } from '../../util/errors.js';
import { pathParts } from './read.js';
import { ArchiveError } from './types.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
/** Limit of symbolic links on a path, as in path_resolution(7). */
const MOST_LINKS = 40;

/** One name in the tree: an open directory, and the last part of a path in it. It need not exist. */
export class Node {
  constructor(
    readonly fd: number,
    readonly base: string,
  ) {}

  /** A path in which only the last part can be a symbolic link. Names are bytes. */
  get path(): Buffer {
    return Buffer.from(`/proc/self/fd/${this.fd}/${this.base}`, 'latin1');
  }

  stat(): Stats | undefined {
    return lstatSync(this.path, { throwIfNoEntry: false });
  }

  /** Opens it as a directory; fails for a symbolic link to one. */
  openDirectory(): number {
    return openSync(this.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** Removes what has this name, to make room for a new entry. With `isDirectory`, keeps a directory. */
  clear(isDirectory: boolean): void {
    const stat = this.stat();
    if (stat === undefined || (isDirectory && stat.isDirectory())) return;
    if (stat.isDirectory()) rmdirSync(this.path);
    else unlinkSync(this.path);
  }
}

/** A directory with everything below it. */
export class Tree {
  readonly #root: number;

  /** @param directory Path of the directory. The caller must trust it: symbolic links in it are followed. */
  constructor(directory: string) {
    this.#root = openSync(directory, O_RDONLY | O_DIRECTORY);
  }

  /**
   * Calls `use` with the node of `name`. Missing directories on the way are made.
   *
   * @throws {ArchiveError} for a name without a last part, and for one that leads out of the tree.
   */
  at<T>(name: string, use: (node: Node) => T): T {
    const parts = pathParts(name);
    const base = parts.pop();
    if (base === undefined || base === '..' || parts.includes('..')) {
      throw new ArchiveError(`the name ${JSON.stringify(name)} leads out of the directory`);
    }
    const opened: number[] = [];
    try {
      return use(new Node(this.#walk(parts, opened), base));
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  close(): void {
    closeSync(this.#root);
  }

  /**
   * Walks to the directory that `parts` name.
   * @param opened Receives every descriptor opened on the way, for the caller to close.
   */
  #walk(parts: readonly string[], opened: number[]): number {
    // Descriptors from the root to the current directory, so that .. leads back, but never above the root.
    let way = [this.#root];
    let left = [...parts];
    for (let links = 0; ; ) {
      const [part, ...rest] = left;
      if (part === undefined) return way.at(-1) ?? this.#root;
      left = rest;
      if (part === '..') {
        if (way.length > 1) way = way.slice(0, -1);
        continue;
      }
      const node = new Node(way.at(-1) ?? this.#root, part);
      const target = linkTarget(node);
      if (target === undefined) {
        const fd = openOrMake(node);
        opened.push(fd);
        way = [...way, fd];
        continue;
      }
      links += 1;
      if (links > MOST_LINKS)
        throw new ArchiveError(`too many symbolic links on the way to ${JSON.stringify(parts.join('/'))}`);
      if (target.startsWith('/')) way = [this.#root];
      left = [...pathParts(target), ...rest];
    }
  }
}

/** Target of a symbolic link; undefined if the node is no link, or does not exist. */
function linkTarget(node: Node): string | undefined {
  try {
    return readlinkSync(node.path, 'latin1');
  } catch (error) {
    if (isSystemError(error, 'EINVAL') || isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function openOrMake(node: Node): number {
  try {
    return node.openDirectory();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  mkdirSync(node.path, { mode: 0o755 });
  return node.openDirectory();
}
