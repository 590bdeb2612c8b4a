/** Copies what only root may read, of what a service needs, into its new state. */
import { chmodSync, chownSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { covers } from '../../config/path.js';
import { rootDirectoryOf } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import { pathBelow } from '../../sandbox/devices/hidden-paths.js';
import { mountsBelow } from '../../sandbox/devices/host-mounts.js';
import { overlayKindOf, type Platform, topmostOf } from '../../sandbox/devices/overlay.js';
import { layersOf, makeOverlayDirectory, UPPER } from '../../sandbox/devices/overlay-directory.js';
import { rootBelow } from '../../sandbox/overlay/unseen.js';
import { stateBase } from '../../sandbox/state/state-directory.js';
import { abortedError } from '../errors.js';
import type { ServiceRoots } from '../paths.js';
import { type Candidate, candidatesOf, outermost } from './candidates.js';
import { closedPaths, type Source } from './closed.js';
import { Copier, type CopyProgress, type Wish } from './copy.js';
import { type Content, unseenPaths } from './describe.js';
import { type Layers, layerOfEachMount, oneLayer } from './layers.js';
import { Rights, readerOf } from './reader.js';

export interface FillOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** What was copied. */
export interface Filled {
  /** Paths in the root: files, and directories with all that is in them. */
  readonly copied: readonly string[];
  /** Those of files that were written to meanwhile. */
  readonly unsettled: readonly string[];
}

/** What is to be copied, and from where. */
export interface Plan {
  readonly source: Source;
  readonly wishes: readonly Wish[];
  /** Mounts of a container, each of which has layers of its own. */
  readonly mounts: readonly string[];
}

/**
 * Undefined: the sandbox may read all that it needs.
 * @throws {SandboxError} `aborted`, `service-copy-too-deep`, `package-query-failed`
 */
export async function planCopies(
  roots: ServiceRoots,
  { config, content, platform }: { config: SandboxConfig; content: Content; platform: Platform },
  { signal }: FillOptions,
): Promise<Plan | undefined> {
  const reader = readerOf(config, platform);
  if (reader === undefined || (!content.isCopied && content.paths.length === 0)) return undefined;
  const root = realpathSync(rootDirectoryOf(config));
  const mounts = platform === 'container' ? ['/', ...mountsBelow(root).map((path) => `/${path}`)] : ['/'];
  const source: Source = {
    root,
    rights: new Rights(reader),
    foreign: foreignPaths(roots, config, root),
    mounts: new Set(mounts),
    check: checkOf(config, { signal }),
  };
  const { manager, named, ofUnits } = content.packages;
  const ofPackages = content.isCopied && manager ? await candidatesOf(manager, [...named, ...ofUnits]) : [];
  const unseen = unseenPaths(config);
  const isSeen = ({ path }: Candidate) => !unseen.some((other) => covers(other, path));
  const asked = outermost(content.paths.map((path) => ({ path, isWhole: true })));
  const paths = new Set(await closedPaths(source, asked));
  const wishes = [...paths].map((path) => ({ path, withoutLogs: false }));
  for (const path of await closedPaths(source, ofPackages.filter(isSeen)))
    if (![...paths].some((other) => covers(other, path))) wishes.push({ path, withoutLogs: true });
  return wishes.length === 0 ? undefined : { source, wishes, mounts };
}

/** What is never copied: file systems of the kernel, and what is kept of services and sandboxes. */
export function foreignPaths(
  { services, directories, images }: ServiceRoots,
  { overlay }: SandboxConfig,
  root: string,
) {
  const own = overlay !== undefined && overlay.type !== 'memory' ? [dirname(overlay.path)] : [];
  const kept = [services, directories, images, stateBase(), ...own].flatMap((path) => pathBelow(root, path));
  return new Set([...rootBelow(root).foreign, ...kept.map((path) => `/${path}`)]);
}

/** Throws when the work is cancelled. */
export function checkOf({ name }: SandboxConfig, { signal }: FillOptions): () => void {
  return () => {
    if (signal?.aborted) throw abortedError(name ?? '');
  };
}

/** Makes the layers in the directory of a new state. */
export function makeLayers(directory: string, config: SandboxConfig, platform: Platform): void {
  makeOverlayDirectory(directory, { root: config.root, kind: overlayKindOf(config, platform) }, topmostOf(config));
}

/** Copies into the layers of a new state. */
export async function fillDirectory(
  directory: string,
  { config, plan, platform }: { config: SandboxConfig; plan: Plan; platform: Platform },
  options: FillOptions,
): Promise<Filled> {
  const kind = overlayKindOf(config, platform);
  const layers = layersOf(directory);
  const target =
    platform === 'machine'
      ? oneLayer(join(layers, UPPER), kind)
      : layerOfEachMount(layers, plan.source.root, plan.mounts, kind);
  return copyAll(plan, target, options);
}

/** Makes what the disk of a new state has in the beginning. @param directory which becomes the topmost one of the disk */
export async function fillDisk(
  directory: string,
  { config, plan }: { config: SandboxConfig; plan: Plan },
  options: FillOptions,
): Promise<Filled> {
  const upper = join(directory, UPPER);
  const { mode, uid, gid } = topmostOf(config);
  mkdirSync(upper, { mode: 0o700 });
  chownSync(upper, uid, gid);
  chmodSync(upper, mode);
  // A kernel that has the disk itself knows the attributes by their own names, as that of a container does.
  return copyAll(plan, oneLayer(upper, 'container'), options);
}

async function copyAll({ source, wishes }: Plan, layers: Layers, { onProgress }: FillOptions): Promise<Filled> {
  const copier = new Copier(source, layers, onProgress);
  await copier.copy(wishes);
  const paths = outermost(wishes.map(({ path }) => ({ path, isWhole: true })));
  return { copied: paths.map(({ path }) => path), unsettled: copier.unsettled };
}
