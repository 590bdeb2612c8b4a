/**
 * A directory that nothing which is done through it leads out of, whatever names and links an archive has.
 *
 * Each part of a path is opened from the one before it, as openat(2) does with O_NOFOLLOW; Node has no openat, but
 * `/proc/self/fd/N/NAME` is the same (proc_pid_fd(5)). A symbolic link on the way is followed by hand, with this directory as
 * the root, which is what it means in the initrd.
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
/** As in path_resolution(7). */
const MOST_LINKS = 40;

/** The place of a name: a directory that is open, and a path through it, which ends in the name itself. */
export class Node {
  constructor(
    readonly fd: number,
    readonly base: string,
  ) {}

  /** A path in which nothing but the last part can be a symbolic link. Names are bytes. */
  get path(): Buffer {
    return Buffer.from(`/proc/self/fd/${this.fd}/${this.base}`, 'latin1');
  }

  stat(): Stats | undefined {
    return lstatSync(this.path, { throwIfNoEntry: false });
  }

  /** Opens it as a directory, which it must be itself, and not through a link. */
  openDirectory(): number {
    return openSync(this.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** Makes room for something that is no directory, or, with `isDirectory`, for something that is one. */
  clear(isDirectory: boolean): void {
    const stat = this.stat();
    if (stat === undefined || (isDirectory && stat.isDirectory())) return;
    if (stat.isDirectory()) rmdirSync(this.path);
    else unlinkSync(this.path);
  }
}

/** A directory and what is below it. */
export class Tree {
  readonly #root: number;

  /** @param directory The caller's own; symbolic links in this path are followed. */
  constructor(directory: string) {
    this.#root = openSync(directory, O_RDONLY | O_DIRECTORY);
  }

  /**
   * Opens the directory that `name` is in, making what is missing, for as long as `use` runs.
   *
   * @throws {ArchiveError} for a name that has no last part, and for one that leads out.
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

  /** @param opened What was opened on the way: the last one is where the way leads to. */
  #walk(parts: readonly string[], opened: number[]): number {
    // The directories from the root to where the way has come, so that .. leads back and never above.
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

/** Where a symbolic link leads; undefined for anything else and for nothing. */
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
