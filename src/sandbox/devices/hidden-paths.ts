/** What a sandbox does not see of its root. */
import { realpathSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import type { GuestHidden } from '../../../init/common/config.js';
import { hasOwnHome, isOfTheSystem } from '../../config/home.js';
import { covers, normalizePath } from '../../config/path.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { realPathIn } from '../../util/real-path.js';
import { stateBase } from '../state/state-directory.js';
import { originOf, otherPathsOf, placesOf } from './host-mounts.js';

/** What the common init mounts before it covers anything: what the root has below is not seen. */
const OVER_ROOT = ['/dev', '/proc', '/run', '/sys', '/tmp'];

/**
 * Those that are there, for a container, where the common init covers them.
 * @param homes directories inside that show a home which is to be hidden; default: where the host shows one now
 */
export function coveredPaths(config: SandboxConfig, homes?: readonly string[]): GuestHidden[] {
  const mounted = OVER_ROOT.map((path) => realPathIn(config.root, path) ?? path);
  return hiddenPaths(config, homes).flatMap((path) => {
    if (mounted.some((above) => covers(above, path))) return [];
    // The host may have another there by now, or none.
    if (homes?.includes(path)) return [{ path, isDirectory: true }];
    const found = valueOr(() => statSync(join(config.root, path), { throwIfNoEntry: false }), undefined);
    return found === undefined ? [] : [{ path, isDirectory: found.isDirectory() }];
  });
}

/**
 * Absolute paths inside. They need not exist.
 * @param homes as {@link coveredPaths} has them
 * @returns where they lead to: in what is hidden no link can be followed any more
 */
export function hiddenPaths(config: SandboxConfig, homes: readonly string[] = otherHomes(config)): string[] {
  const { hidden, identity, root } = config;
  const secrets = hidden.secrets
    ? [...homesOf(identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
    : [];
  const all = [...homesHidden(config), ...secrets, ...hidden.paths];
  const places = [...new Set([...all.map((path) => realPathIn(root, path) ?? normalizePath(path)), ...homes])];
  // What is in something that is hidden is not there any more.
  return places.filter((path) => !places.some((above) => above !== path && covers(above, path)));
}

/** The whole homes of those whose files they are, by their own paths. */
function homesHidden(config: SandboxConfig): string[] {
  if (!hasOwnHome(config)) return [];
  // With -p, or another user inside, the caller may be one without a home of its own.
  return [...homesOf(config.identity.home)].filter((home) => !isOfTheSystem(home));
}

/**
 * Where else the host shows those homes in the root, as paths inside.
 * @param table the text of /proc/PID/mountinfo; default: this process's
 */
export function otherHomes(config: SandboxConfig, table?: string): string[] {
  const source = valueOr(() => realpathSync(config.root), config.root);
  const places = homesHidden(config).flatMap((home) => {
    const real = realHome(home);
    return [real, ...otherPathsOf(real, table)];
  });
  // The views of other sandboxes come and go, and no sandbox sees them.
  const views = stateBase();
  const seen = places.filter((path) => covers(source, path) && path !== source && !covers(views, path));
  return [...new Set(seen.map((path) => `/${relative(source, path)}`))];
}

/**
 * Where the mounts of a container show those homes, as paths inside, whatever the host has there by now.
 * @param table the text of its /proc/PID/mountinfo, with its root at `at`
 */
export function homesIn(config: SandboxConfig, table: string, at: string): string[] {
  const places = homesHidden(config).flatMap((home) => {
    const origin = originOf(realHome(home));
    return origin === undefined ? [] : placesOf(origin, table);
  });
  const seen = places.filter((path) => covers(at, path) && path !== at);
  return [...new Set(seen.map((path) => `/${relative(at, path)}`))];
}

function realHome(home: string): string {
  return valueOr(() => realpathSync(home), home);
}

/** The home inside, and the caller's: that of the environment and that of the user database. */
export function homesOf(inside: string): Set<string> {
  const listed = valueOr(() => userInfo().homedir, '');
  return new Set([inside, homedir(), listed].filter((home) => isAbsolute(home) && home !== '/'));
}
