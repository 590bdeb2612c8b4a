/** What a sandbox may not read of its root, of what a service needs. */
import { dirname } from 'node:path';
import { covers } from '../../config/path.js';
import type { Candidate } from './candidates.js';
import { above, type HostTree } from './host-tree.js';
import type { Rights } from './reader.js';

/** Where something is copied from. */
export interface Source {
  /** A directory of the host. */
  readonly root: string;
  readonly rights: Rights;
  /** What is never looked into, as paths in the root: file systems of the kernel, states of services. */
  readonly foreign: ReadonlySet<string>;
  /** Mounts with layers of their own, the topmost directory among them. */
  readonly mounts: ReadonlySet<string>;
  /** Called now and then: it throws to end the work. */
  readonly check: () => void;
}

/**
 * Paths of files and directories that are to be copied, each of them with all that is in it, in their order.
 *
 * What cannot be reached counts as well. A directory that others share, and that is closed, is not copied for itself: the
 * files of the candidates in it are. Nor is the topmost one of a mount: what is in it is.
 */
export async function closedPaths(source: Source, candidates: readonly Candidate[]): Promise<string[]> {
  const found: string[] = [];
  for (const one of candidates) await collectFrom(source, one, found);
  // What is mounted in a directory that is copied has layers of its own.
  const inDirectories = [...source.mounts].filter((mount) =>
    found.some((path) => path !== mount && covers(path, mount)),
  );
  for (const path of inDirectories) await collectFrom(source, { path, isWhole: true }, found);
  return withoutNested(found, source.mounts);
}

async function collectFrom(source: Source, { path, isWhole }: Candidate, found: string[]): Promise<void> {
  source.check();
  if ([...source.foreign].some((other) => covers(other, path))) return;
  let isReached = true;
  const enter = (tree: HostTree) => {
    const mayEnter = source.rights.mayEnter(tree.own, tree.call());
    isReached = mayEnter && (isReached || source.mounts.has(tree.path));
  };
  await above(source.root, path, enter, async (tree, name) => {
    collect({ source, tree, found }, name, isWhole, isReached || source.mounts.has(path));
  });
}

interface Collecting {
  readonly source: Source;
  readonly tree: HostTree;
  readonly found: string[];
}

function collect(collecting: Collecting, name: string, isWhole: boolean, isReached: boolean): void {
  const { source, tree, found } = collecting;
  const path = tree.pathOf(name);
  const entry = tree.look(name);
  if (entry === undefined || source.foreign.has(path)) return;
  if (!entry.isDirectory()) {
    const isClosed = entry.isFile() && !source.rights.mayRead(entry, tree.call(name));
    if (!isReached || isClosed) found.push(path);
    return;
  }
  if (!isWhole) return;
  const isOpen = source.mounts.has(path) || isReached;
  const mayRead = source.rights.mayRead(entry, tree.call(name));
  if (!isOpen || (!mayRead && !source.mounts.has(path))) {
    found.push(path);
    return;
  }
  if (!tree.enter(name)) return;
  source.check();
  for (const below of tree.names()) collect(collecting, below, true, mayRead);
  tree.leave();
}

function withoutNested(paths: readonly string[], mounts: ReadonlySet<string>): string[] {
  const each = new Set(paths);
  const isWithin = (path: string): boolean => {
    const parent = dirname(path);
    return parent !== path && !mounts.has(path) && (each.has(parent) || isWithin(parent));
  };
  return [...each].filter((path) => !isWithin(path)).sort();
}
