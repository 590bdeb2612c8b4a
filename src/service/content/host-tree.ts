/**
 * Files of a root on the host, by descriptors: a user whose directories are copied may put a link in the place of one at
 * any moment. Nothing is followed.
 */
import { type BigIntStats, fstatSync, readdirSync } from 'node:fs';
import { quote } from '../../config/errors.js';
import { Descent } from '../../sandbox/files/tree/descent.js';
import { enters, statOf } from '../../sandbox/overlay/lower.js';
import { namesIn } from '../../util/names-in.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { serviceError } from '../errors.js';

/** More than any directory of a service; the way down is a way of calls, too. */
const MOST_DEPTH = 256;

/** A directory of the tree, with those above it open. */
export class HostTree {
  readonly #descent: Descent;
  readonly #first: number;
  #path: string;

  /**
   * @param root a directory of the host
   * @param way directories from there to the top of the tree
   * @throws the error of a system call: ENOTDIR if one of them is none
   */
  constructor(root: string, way: readonly string[] = []) {
    this.#descent = new Descent(root);
    for (const name of way) this.#descent.enter(bytesOf(name));
    this.#first = this.#descent.depth;
    this.#path = '/';
  }

  /** Of the directory that was entered last, in the root. */
  get path(): string {
    return this.#path;
  }

  /** The path of an entry. */
  pathOf(name: string): string {
    return this.#path === '/' ? `/${name}` : `${this.#path}/${name}`;
  }

  /** The directory that was entered last. */
  get own(): BigIntStats {
    return fstatSync(this.#descent.fd, { bigint: true });
  }

  /** A path for system calls to an entry of the directory, or to the directory itself. */
  call(name = '.'): Buffer {
    return this.#descent.path(bytesOf(name));
  }

  /** An entry, if it is there. */
  look(name: string): BigIntStats | undefined {
    return statOf(this.#descent, bytesOf(name));
  }

  /** The names in the directory, in the order of their bytes. */
  names(): string[] {
    const names = readdirSync(`/proc/self/fd/${this.#descent.fd}`, { encoding: 'buffer' });
    return names.sort(Buffer.compare).map(textOf);
  }

  /** The same names in any order, piece by piece: a guest may have made more than there is memory for. */
  *eachName(): Generator<string, void> {
    for (const name of namesIn(this.#descent.fd)) yield textOf(name);
  }

  /** Directories of the tree that were entered. */
  get depth(): number {
    return this.#descent.depth - this.#first;
  }

  /** @returns false: it is no directory, or not any more */
  enter(name: string): boolean {
    if (this.#descent.depth >= MOST_DEPTH) throw tooDeep(this.#path);
    if (!enters(this.#descent, bytesOf(name))) return false;
    this.#path = this.pathOf(name);
    return true;
  }

  leave(): void {
    this.#descent.leave();
    this.#path = this.#path.slice(0, this.#path.lastIndexOf('/')) || '/';
  }

  close(): void {
    this.#descent.close();
  }
}

/** The names of a path. */
export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

/** Runs `work` in the directory above a path. @returns undefined: there is none, or it is reached by a link only */
export async function above<T>(
  root: string,
  path: string,
  each: (tree: HostTree) => void,
  work: (tree: HostTree, name: string) => Promise<T>,
): Promise<T | undefined> {
  const names = partsOf(path);
  const last = names.pop();
  const tree = new HostTree(root);
  try {
    if (last === undefined) return undefined;
    for (const name of names) {
      if (!tree.enter(name)) return undefined;
      each(tree);
    }
    return await work(tree, last);
  } finally {
    tree.close();
  }
}

function tooDeep(path: string) {
  return serviceError(
    'service-copy-too-deep',
    `the directories in ${quote(path)} are too deep to be copied`,
    'look what has made them, and remove them',
  );
}
