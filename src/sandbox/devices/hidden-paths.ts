/** What a sandbox does not see of its root. */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import type { GuestHidden } from '../../../init/common/config.js';
import { hasOwnHome } from '../../config/home.js';
import { covers } from '../../config/path.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';
import { otherPathsOf } from './host-mounts.js';

/** As many links as Linux follows in one path. */
const MOST_LINKS = 40;

/** Those that are there, for a container, where the common init covers them. */
export function coveredPaths(config: SandboxConfig): GuestHidden[] {
  const covered = hiddenPaths(config).flatMap((path) => {
    const inside = pathInRoot(config.root, path);
    const found = inside && valueOr(() => lstatSync(join(config.root, inside), { throwIfNoEntry: false }), undefined);
    return found ? [{ path: inside, isDirectory: found.isDirectory() }] : [];
  });
  return [...new Map(covered.map((hidden) => [hidden.path, hidden])).values()];
}

/**
 * The path without links, as a process whose root that is would follow them. path_resolution(7)
 * @param root of the host; its own links are followed
 * @returns undefined if it leads nowhere
 */
function pathInRoot(root: string, path: string): string | undefined {
  const left = path.split('/');
  let at = '/';
  for (let links = 0; links <= MOST_LINKS; ) {
    const name = left.shift();
    if (name === undefined) return at;
    // Of / too, .. is the directory itself.
    const next = join(at, name);
    const found = valueOr(() => lstatSync(join(root, next), { throwIfNoEntry: false }), undefined);
    if (found === undefined) return undefined;
    if (next !== '/' && found.isSymbolicLink()) {
      const target = valueOr(() => readlinkSync(join(root, next)), undefined);
      if (target === undefined) return undefined;
      links += 1;
      left.unshift(...target.split('/'));
      at = target.startsWith('/') ? '/' : at;
    } else {
      at = next;
    }
  }
  return undefined;
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
