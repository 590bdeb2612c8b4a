/**
 * What a service hides of its host: copies in its overlay of files that the host has changed since. A guest has written
 * the overlay: nothing in it is followed.
 */
import { covers } from '../../config/path.js';
import type { Layer } from '../../sandbox/devices/overlay-layers.js';
import { type Baseline, hadAt } from '../content/baseline.js';
import { LOGS } from '../content/copy.js';
import { ABSENT, algorithmOf, fingerprintOf, isWhiteout, OTHER } from '../content/fingerprint.js';
import { above, HostTree } from '../content/host-tree.js';

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
  /** The directory with the layers of the overlay. */
  readonly layers: string;
  readonly all: readonly Layer[];
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
  for (const layer of compared.all) {
    const tree = new HostTree(compared.layers, layer.way);
    try {
      await inDirectory(compared, layer.mount, tree, found);
    } finally {
      tree.close();
    }
  }
  for (const path of compared.now.files.keys())
    if (isNew(compared, path)) {
      const now = compared.now.files.get(path) ?? OTHER;
      found.set(path, { path, before: ABSENT, now, service: ABSENT, verdict: 'hidden', isCopied: true });
    }
  return [...found.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** In a directory that was copied as a whole the service does not see what the host has there since. */
function isNew({ copied, before, all, layers }: Compared, path: string): boolean {
  if (before.files.has(path) || !copied.some((above) => above !== path && covers(above, path))) return false;
  return lookInLayers(layers, all, path) === 'none';
}

/** Whether a layer has a path: `closed` if the directory above is not there. */
function lookInLayers(layers: string, all: readonly Layer[], path: string): 'some' | 'none' | 'closed' {
  const { mount, way } = layerOf(all, path) ?? { mount: '', way: [] };
  const names = path.slice(mount.length).split('/').slice(1);
  const last = names.pop() ?? '';
  const tree = new HostTree(layers, way);
  try {
    if (!names.every((name) => tree.enter(name))) return 'closed';
    return tree.look(last) === undefined ? 'none' : 'some';
  } finally {
    tree.close();
  }
}

/** The layer in which a path lies: that of the deepest mount. */
export function layerOf(all: readonly Layer[], path: string): Layer | undefined {
  return all
    .filter(({ mount }) => mount === '' || covers(mount, path))
    .sort((one, other) => other.mount.length - one.mount.length)[0];
}

async function inDirectory(
  compared: Compared,
  mount: string,
  tree: HostTree,
  found: Map<string, HiddenFile>,
): Promise<void> {
  for (const name of tree.names()) {
    const path = `${mount}${tree.pathOf(name)}`;
    const entry = tree.look(name);
    if (entry === undefined || covers(LOGS, path)) continue;
    if (!entry.isDirectory()) {
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
  tree: HostTree,
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
  const service = fingerprintOf(tree, name, algorithm);
  if (service === now || (now === OTHER && service === OTHER)) return undefined;
  const isCopied = copied.some((one) => covers(one, path));
  // Owners and modes are the service's to change, too.
  const isAlike =
    isCopied ||
    host.found === undefined ||
    own === undefined ||
    isWhiteout(own) ||
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
