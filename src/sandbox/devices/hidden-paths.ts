/** What a sandbox does not see of its root. */
import { realpathSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, isAbsolute, join, relative } from 'node:path';
import type { GuestHidden } from '../../../init/common/config.js';
import { hasOwnHome, isOfTheSystem } from '../../config/home.js';
import { covers, normalizePath } from '../../config/path.js';
import { rootDirectoryOf } from '../../config/root.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { valueOr } from '../../util/errors.js';
import { realPathIn } from '../../util/real-path.js';
import { stateBase } from '../state/state-directory.js';
import { type Origin, originOf, otherPathsOf, placesOf } from './host-mounts.js';

/** What the common init mounts before it covers anything: what the root has below is not seen. */
export const OVER_ROOT = ['/dev', '/proc', '/run', '/sys', '/tmp'];

/** Root's own store and a user's, also where another one is used. */
const ROOT_STORE = '/var/cache/virt-sandbox';
const USERS_STORE = '.cache/virt-sandbox';

/** What to hide in a container, by the mounts that it has got: src/sandbox/setup/hidden-now.ts */
export interface Hiding {
  /** Absolute paths inside, where the common init covers them. The host may have nothing there. */
  readonly paths: readonly string[];
  /** Homes, wherever a mount shows them. */
  readonly homes: readonly Origin[];
}

/** What a container hides, by the mounts that the host has now. */
export function hidingOf(config: SandboxConfig): Hiding {
  return {
    paths: hiddenInContainer(config).filter((path) => !isMountedOver(config, path)),
    homes: ownHomes(config).flatMap((home) => originOf(realHome(home)) ?? []),
  };
}

/** Those that the host has now. What a start covers is what the container has got: src/sandbox/setup/hidden-now.ts */
export function coveredPaths(config: SandboxConfig): GuestHidden[] {
  return hidingOf(config).paths.flatMap((path) => hiddenOnHost(config, path) ?? []);
}

/** What the host has there; undefined: nothing. */
export function hiddenOnHost(config: Pick<SandboxConfig, 'root'>, path: string): GuestHidden | undefined {
  const root = rootDirectoryOf(config);
  const found = valueOr(() => statSync(join(root, path), { throwIfNoEntry: false }), undefined);
  return found && { path, isDirectory: found.isDirectory() };
}

/** Whether the common init mounts something of its own over a path or above it. */
function isMountedOver(config: SandboxConfig, path: string): boolean {
  const root = rootDirectoryOf(config);
  return OVER_ROOT.some((above) => covers(realPathIn(root, above) ?? above, path));
}

/**
 * Absolute paths inside. They need not exist.
 * @param homes where else the host shows a home that is to be hidden: {@link placesOfHomes}
 * @returns where they lead to: in what is hidden no link can be followed any more
 */
export function hiddenPaths(config: SandboxConfig, homes: readonly string[] = placesOfHomes(config)): string[] {
  const { hidden, identity } = config;
  const root = rootDirectoryOf(config);
  const secrets = hidden.secrets
    ? [...homesOf(identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
    : [];
  const all = [...ownHomes(config), ...secrets, ...hidden.paths];
  return outermost([...all.map((path) => realPathIn(root, path) ?? normalizePath(path)), ...homes]);
}

/** The same of a container, with the stores, which a machine's view hides itself. */
export function hiddenInContainer(config: SandboxConfig): string[] {
  const source = valueOr(() => realpathSync(rootDirectoryOf(config)), '/');
  return outermost([...hiddenPaths(config), ...storesBelow(source, config).map((path) => `/${path}`)]);
}

/** Where boot images, OCI images and state directories are, relative to a directory that they are in. */
export function storesBelow(source: string, { identity }: Pick<SandboxConfig, 'identity'>): string[] {
  const ofUsers = [...homesOf(identity.home)].map((home) => join(home, USERS_STORE));
  // One that is refused is not used either.
  const own = valueOr(() => dirname(defaultStoreDirectory()), ROOT_STORE);
  const all = [ROOT_STORE, own, stateBase(), ...ofUsers];
  return all.flatMap((path) => pathBelow(source, path)).filter((path) => path !== '');
}

/** The path relative to a directory that it is in, without links on its way; none if it is not there or elsewhere. */
export function pathBelow(source: string, path: string): string[] {
  const real = valueOr(() => realpathSync(path), '');
  return real !== '' && covers(source, real) ? [relative(source, real)] : [];
}

/** Each once, without those below another one: what is in something that is hidden is not there any more. */
export function outermost(paths: readonly string[]): string[] {
  const each = [...new Set(paths)];
  return each.filter((path) => !each.some((above) => above !== path && covers(above, path)));
}

/** The whole homes of those whose files they are, by their own paths. */
function ownHomes(config: SandboxConfig): string[] {
  if (!hasOwnHome(config)) return [];
  // With -p, or another user inside, the caller may be one without a home of its own.
  return [...homesOf(config.identity.home)].filter((home) => !isOfTheSystem(home));
}

/**
 * Where the host shows those homes in the root, as paths inside.
 * @param table the text of /proc/PID/mountinfo; default: this process's
 */
export function placesOfHomes(config: SandboxConfig, table?: string): string[] {
  const root = rootDirectoryOf(config);
  const source = valueOr(() => realpathSync(root), root);
  const places = ownHomes(config).flatMap((home) => {
    const real = realHome(home);
    return [real, ...otherPathsOf(real, table)];
  });
  // The views of other sandboxes come and go, and no sandbox sees them.
  const views = stateBase();
  const seen = places.filter((path) => covers(source, path) && path !== source && !covers(views, path));
  return [...new Set(seen.map((path) => `/${relative(source, path)}`))];
}

/**
 * Where the mounts of a container show homes, as paths inside that the common init covers.
 * @param table the text of its /proc/PID/mountinfo, with its root at `at`
 */
export function placesInContainer(
  config: SandboxConfig,
  origins: readonly Origin[],
  table: string,
  at: string,
): string[] {
  const places = origins.flatMap((origin) => placesOf(origin, table)).filter((path) => covers(at, path) && path !== at);
  return [...new Set(places.map((path) => `/${relative(at, path)}`))].filter((path) => !isMountedOver(config, path));
}

function realHome(home: string): string {
  return valueOr(() => realpathSync(home), home);
}

/** The home inside, and the caller's: that of the environment and that of the user database. */
export function homesOf(inside: string): Set<string> {
  const listed = valueOr(() => userInfo().homedir, '');
  return new Set([inside, homedir(), listed].filter((home) => isAbsolute(home) && home !== '/'));
}
