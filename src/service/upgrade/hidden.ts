/**
 * What a service hides of its host: copies in its overlay of files that the host has changed since. A guest has written
 * the overlay: nothing in it is followed.
 */
import { dirname } from 'node:path';
import { covers } from '../../config/path.js';
import { layerOf } from '../../sandbox/devices/overlay-layers.js';
import { type Baseline, hadAt } from '../content/baseline.js';
import { LOGS } from '../content/copy.js';
import { ABSENT, algorithmOf, fingerprintOf, OTHER } from '../content/fingerprint.js';
import { above } from '../content/host-tree.js';
import type { State, StateTree } from './state.js';

/** Directories in one another. What is deeper no package has. */
const MOST_DEPTH = 128;

/**
 * `hidden`: the service has never changed it, and gets what the host has now. `conflict`: both have changed it, and the
 * service keeps its own.
 */
export type Verdict = 'hidden' | 'conflict';

/** Three fingerprints of a file. */
export interface HiddenFile {
  /** In the root. */
  readonly path: string;
  /** What the host had when the service was made, or upgraded last. */
  readonly before: string;
  /** What it has now. */
  readonly now: string;
  /** What the service has. */
  readonly service: string;
  readonly verdict: Verdict;
  /** The service has it by a copy that was asked for: without that it could not read the file. */
  readonly isCopied: boolean;
}

/** What is compared. */
export interface Compared {
  readonly state: State;
  /** A directory of this host. */
  readonly root: string;
  readonly before: Baseline;
  readonly now: Baseline;
  /** Paths that were copied into the state. */
  readonly copied: readonly string[];
}

/** Files that the host has changed, in the order of their paths. */
export async function hiddenFiles(compared: Compared): Promise<HiddenFile[]> {
  const found = new Map<string, HiddenFile>();
  for (const layer of compared.state.layers) {
    const tree = compared.state.open(layer);
    try {
      await inDirectory(compared, layer.mount, tree, found);
    } finally {
      tree.close();
    }
  }
  const known = directoriesOf(compared.before.files.keys());
  for (const path of compared.now.files.keys())
    if (isNew(compared, known, path)) {
      const now = compared.now.files.get(path) ?? OTHER;
      found.set(path, { path, before: ABSENT, now, service: ABSENT, verdict: 'hidden', isCopied: true });
    }
  return [...found.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** All directories above these paths. */
function directoriesOf(paths: Iterable<string>): Set<string> {
  const directories = new Set<string>();
  for (const path of paths) for (let at = dirname(path); !directories.has(at); at = dirname(at)) directories.add(at);
  return directories;
}

/**
 * In a directory that was copied as a whole the service does not see what the host has there since.
 * @param known directories that the host had before
 */
function isNew({ copied, before, state }: Compared, known: ReadonlySet<string>, path: string): boolean {
  if (before.files.has(path) || !copied.some((above) => above !== path && covers(above, path))) return false;
  const { isThere, missing } = lookInLayers(state, path);
  // One that the host had is gone because the service has removed it.
  return !isThere && missing !== undefined && !missing.some((directory) => known.has(directory));
}

/** Where a path is in the layers. */
export interface Found {
  readonly isThere: boolean;
  /** Directories above it that are not there, the topmost one first; undefined: one of them is no directory. */
  readonly missing: readonly string[] | undefined;
}

export function lookInLayers(state: State, path: string): Found {
  const layer = layerOf(state.layers, path);
  if (layer === undefined) return { isThere: false, missing: undefined };
  const names = path.slice(layer.mount.length).split('/').slice(1);
  const last = names.pop() ?? '';
  const tree = state.open(layer);
  try {
    for (const [index, name] of names.entries()) {
      if (tree.enter(name)) continue;
      if (tree.look(name) !== undefined) return { isThere: false, missing: undefined };
      const missing = names.slice(index).map((_, more) => names.slice(0, index + more + 1).join('/'));
      return { isThere: false, missing: missing.map((below) => `${layer.mount}/${below}`) };
    }
    return { isThere: tree.look(last) !== undefined, missing: [] };
  } finally {
    tree.close();
  }
}

async function inDirectory(
  compared: Compared,
  mount: string,
  tree: StateTree,
  found: Map<string, HiddenFile>,
): Promise<void> {
  for (const name of tree.names()) {
    const path = `${mount}${tree.pathOf(name)}`;
    const entry = tree.look(name);
    if (entry === undefined || covers(LOGS, path)) continue;
    if (entry.kind !== 'directory') {
      const file = await compareFile(compared, path, tree, name);
      if (file !== undefined) found.set(path, file);
    } else if (tree.depth < MOST_DEPTH && tree.enter(name)) {
      await inDirectory(compared, mount, tree, found);
      tree.leave();
    }
  }
}

async function compareFile(
  { root, before, now: today, copied }: Compared,
  path: string,
  tree: StateTree,
  name: string,
): Promise<HiddenFile | undefined> {
  const known = hadAt(before, path);
  // A package may have it by now.
  const had = known ?? (today.packaged.has(path) ? ABSENT : undefined);
  if (had === undefined) return undefined;
  const algorithm = algorithmOf(had);
  const host = await onHost(root, path, algorithm);
  // A directory hides nothing that a file had.
  if (host.now === had || host.found?.isDirectory()) return undefined;
  const { now } = host;
  const own = tree.look(name);
  const service = await tree.fingerprint(name, algorithm);
  if (service === now || (now === OTHER && service === OTHER)) return undefined;
  const isCopied = copied.some((one) => covers(one, path));
  // Owners and modes are the service's to change, too.
  const isAlike =
    isCopied ||
    host.found === undefined ||
    own === undefined ||
    own.kind === 'whiteout' ||
    (own.mode === host.found.mode && own.uid === host.found.uid && own.gid === host.found.gid);
  const verdict = service === had && service !== OTHER && isAlike ? 'hidden' : 'conflict';
  return { path, before: had, now, service, verdict, isCopied };
}

async function onHost(root: string, path: string, algorithm: 'sha256' | 'md5') {
  const found = await above(
    root,
    path,
    () => {},
    async (tree, name) => ({ now: fingerprintOf(tree, name, algorithm), found: tree.look(name) }),
  );
  // Nor is there anything in a directory that is gone.
  return found ?? { now: ABSENT, found: undefined };
}
