/** What a sandbox does not see of its root. */
import { realpathSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import type { GuestHidden } from '../../../init/common/config.js';
import { hasOwnHome } from '../../config/home.js';
import { covers } from '../../config/path.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { otherPathsOf } from './host-mounts.js';

/** Those that are there, for a container, where the common init covers them. */
export function coveredPaths(config: SandboxConfig): GuestHidden[] {
  const isWalled = config.overlay !== undefined && config.privileged !== true;
  const covered = hiddenPaths(config).flatMap((path) => {
    const found = valueOr(() => statSync(join(config.root, path), { throwIfNoEntry: false }), undefined);
    if (found === undefined) return [];
    return isWalled ? behindWall(config, path, found.isDirectory()) : [{ path, isDirectory: found.isDirectory() }];
  });
  return [...new Map(covered.map((hidden) => [hidden.path, hidden])).values()];
}

/**
 * In the overlay of a container not even the init enters a directory that the user inside may not enter
 * (init/root-overlay/main.c), so it cannot cover what is in there. Then the directory is covered: the host may open it
 * later.
 */
function behindWall({ root, identity }: SandboxConfig, path: string, isDirectory: boolean): GuestHidden {
  const top = valueOr(() => realpathSync(root), root);
  const real = valueOr(() => realpathSync(join(root, path)), join(root, path));
  // A link in another root may lead elsewhere inside than it does here.
  const inside = covers(top, real) ? join('/', relative(top, real)) : path;
  const parts = inside.split('/').filter((part) => part !== '');
  const above = parts.slice(0, -1).map((_part, index) => join('/', ...parts.slice(0, index + 1)));
  const closed = above.find((directory) => !mayEnter(identity, join(root, directory)));
  return closed === undefined ? { path: inside, isDirectory } : { path: closed, isDirectory: true };
}

/** By the mode alone. Root inside is nobody on the host. */
function mayEnter({ uid, gid, groups }: SandboxConfig['identity'], directory: string): boolean {
  const status = valueOr(() => statSync(directory), undefined);
  if (status === undefined) return false;
  if (uid === 0) return (status.mode & 0o001) !== 0;
  if (status.uid === uid) return (status.mode & 0o100) !== 0;
  if (status.gid === gid || groups.includes(status.gid)) return (status.mode & 0o010) !== 0;
  return (status.mode & 0o001) !== 0;
}

/** Absolute paths inside. They need not exist. */
export function hiddenPaths(config: SandboxConfig): string[] {
  const { hidden, identity } = config;
  const secrets = hidden.secrets
    ? [...homes(identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
    : [];
  const all = [...(hasOwnHome(config) ? hiddenHomes(config) : []), ...secrets, ...hidden.paths];
  // What is in something that is hidden is not there any more.
  return all.filter((path) => !all.some((above) => above !== path && covers(above, path) && !covers(path, above)));
}

/** The whole homes of those whose files they are, wherever the root shows them. */
function hiddenHomes({ root, identity }: SandboxConfig): string[] {
  const source = valueOr(() => realpathSync(root), root);
  const callers = [...homes(identity.home)];
  const places = callers.flatMap((home) => {
    const real = valueOr(() => realpathSync(home), home);
    return [real, ...otherPathsOf(real)];
  });
  const seen = places.filter((path) => covers(source, path) && path !== source);
  return [...new Set([...callers, ...seen.map((path) => `/${relative(source, path)}`)])];
}

/** The home inside, and the caller's: that of the environment and that of the user database. */
export function homes(inside: string): Set<string> {
  const listed = valueOr(() => userInfo().homedir, '');
  return new Set([inside, homedir(), listed].filter((home) => isAbsolute(home) && home !== '/'));
}
