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
import { otherPathsOf } from './host-mounts.js';

/** What the common init mounts before it covers anything: what the root has below is not seen. */
const OVER_ROOT = ['/dev', '/proc', '/run', '/sys', '/tmp'];

/** Those that are there, for a container, where the common init covers them. */
export function coveredPaths(config: SandboxConfig): GuestHidden[] {
  const mounted = OVER_ROOT.map((path) => realPathIn(config.root, path) ?? path);
  return hiddenPaths(config).flatMap((path) => {
    if (mounted.some((above) => covers(above, path))) return [];
    const found = valueOr(() => statSync(join(config.root, path), { throwIfNoEntry: false }), undefined);
    return found === undefined ? [] : [{ path, isDirectory: found.isDirectory() }];
  });
}

/**
 * Absolute paths inside. They need not exist.
 * @returns where they lead to: in what is hidden no link can be followed any more
 */
export function hiddenPaths(config: SandboxConfig): string[] {
  const { hidden, identity, root } = config;
  const secrets = hidden.secrets
    ? [...homes(identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
    : [];
  const all = [...(hasOwnHome(config) ? hiddenHomes(config) : []), ...secrets, ...hidden.paths];
  const places = [...new Set(all.map((path) => realPathIn(root, path) ?? normalizePath(path)))];
  // What is in something that is hidden is not there any more.
  return places.filter((path) => !places.some((above) => above !== path && covers(above, path)));
}

/** The whole homes of those whose files they are, wherever the root shows them. */
function hiddenHomes({ root, identity }: SandboxConfig): string[] {
  const source = valueOr(() => realpathSync(root), root);
  // With -p, or another user inside, the caller may be one without a home of its own.
  const callers = [...homes(identity.home)].filter((home) => !isOfTheSystem(home));
  const places = callers.flatMap((home) => {
    const real = valueOr(() => realpathSync(home), home);
    return [real, ...otherPathsOf(real)];
  });
  // The views of other sandboxes come and go, and no sandbox sees them.
  const views = stateBase();
  const seen = places.filter((path) => covers(source, path) && path !== source && !covers(views, path));
  return [...new Set([...callers, ...seen.map((path) => `/${relative(source, path)}`)])];
}

/** The home inside, and the caller's: that of the environment and that of the user database. */
export function homes(inside: string): Set<string> {
  const listed = valueOr(() => userInfo().homedir, '');
  return new Set([inside, homedir(), listed].filter((home) => isAbsolute(home) && home !== '/'));
}
