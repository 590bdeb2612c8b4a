/** Where a path leads to in a directory that is the root for it, as for a process whose root directory it is. */
import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { valueOr } from './errors.js';

/** Limit of symbolic links on a path, as the kernel has it. */
const MOST_LINKS = 40;

/**
 * Follows every symbolic link of a path. What is missing, or cannot be looked at, is taken for what it is called.
 * @param root a directory of the host
 * @param path absolute, in `root`
 * @returns the path in `root`; undefined if it leads through too many links
 */
export function realPathIn(root: string, path: string): string | undefined {
  const left = partsOf(path);
  let at = '/';
  for (let links = 0; ; ) {
    const name = left.shift();
    if (name === undefined) return at;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    const target = valueOr(() => linkAt(join(root, next)), undefined);
    if (target === undefined) {
      at = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return undefined;
    left.unshift(...partsOf(target));
    if (target.startsWith('/')) at = '/';
  }
}

/**
 * Where the link at a path leads; undefined: there is none, or one is above it.
 * @param root a directory of the host
 * @param path absolute, in `root`
 */
export function linkIn(root: string, path: string): string | undefined {
  const above = dirname(path);
  if (realPathIn(root, above) !== above) return undefined;
  return valueOr(() => linkAt(join(root, path)), undefined);
}

function linkAt(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
