/** The home directory inside: `--home`. */
import { option } from '../util/option-names.js';
import { configError, quote } from './errors.js';
import { covers, normalizePath } from './path.js';
import type { HostBindMount, Mount, SandboxConfig } from './types.js';

/** Whether the sandbox has a home that is not the one of its root, and nothing of that one is seen. */
export function hasOwnHome({ home }: Pick<SandboxConfig, 'home'>): boolean {
  return home !== undefined && home.type !== 'host';
}

/**
 * What a system cannot do without, and the init's own mount points: daemons and sync(8) have such homes. Hidden or
 * covered, no program of theirs could be started.
 */
const OF_THE_SYSTEM = /^\/(?:(?:(?:bin|sbin|lib[^/]*|usr|etc)(?:\/[^/]+)?)|run|tmp|(?:dev|proc|sys)(?:\/.*)?)$/;

/** Whether a home is no place of anybody's own. */
export function isOfTheSystem(home: string): boolean {
  return OF_THE_SYSTEM.test(normalizePath(home));
}

/** The directory of the host that is the home, in its one spelling: what is checked is what is mounted. */
export function homeDirectory({ home }: Pick<SandboxConfig, 'home'>): string | undefined {
  return home?.type === 'directory' ? normalizePath(home.path) : undefined;
}

/**
 * @throws SandboxError `home-is-root`, `home-of-system`: the user has no home; `home-source-not-absolute`;
 *   `home-mounted`: a mount is there
 */
export function checkHome({ home, identity, mounts }: SandboxConfig): void {
  if (home === undefined || home.type === 'host') return;
  const inside = normalizePath(identity.home);
  if (home.type === 'directory' && !home.path.startsWith('/')) {
    throw configError(
      'home-source-not-absolute',
      `the directory ${quote(home.path)} for the home is not an absolute path`,
      'write a path that begins with /',
    );
  }
  if (inside === '/') {
    throw configError(
      'home-is-root',
      `the home directory of ${identity.username} is "/", in which all of the root is`,
      `set HOME to another directory, or leave out ${option('home')}`,
    );
  }
  if (isOfTheSystem(inside)) {
    throw configError(
      'home-of-system',
      `the home directory of ${identity.username} is ${quote(inside)}, which the system itself needs`,
      `set HOME to another directory, or leave out ${option('home')}`,
    );
  }
  if (mounts.some(({ target }) => normalizePath(target) === inside)) {
    throw configError(
      'home-mounted',
      `a mount has the target ${quote(inside)}, the home directory, and ${option('home')} is for that too`,
      'leave out one of them',
    );
  }
}

/** How many mounts are made before the home: those that it is in. A mount on / is the root, and none of them. */
export function mountsBeforeHome(config: Pick<SandboxConfig, 'identity' | 'mounts'>): number {
  return config.mounts.slice(0, indexOfHome(config)).filter(({ target }) => normalizePath(target) !== '/').length;
}

/** Where the home is among all mounts. */
function indexOfHome({ identity, mounts }: Pick<SandboxConfig, 'identity' | 'mounts'>): number {
  const isRoot = (index: number) => normalizePath(mounts[index]?.target ?? '') === '/';
  const last = mounts.findLastIndex(({ target }, index) => !isRoot(index) && covers(target, identity.home));
  // Its share comes behind the root's.
  return last + (isRoot(last + 1) ? 2 : 1);
}

/** The same sandbox, with a directory of the host for the home as a mount among the others. */
export function withHomeMount(config: SandboxConfig): SandboxConfig {
  const { identity, mounts } = config;
  const source = homeDirectory(config);
  if (source === undefined) return config;
  const mount: HostBindMount = {
    ...{ type: 'host-bind', target: identity.home, source },
    ...{ readOnly: false, includes: [] },
  };
  return { ...config, mounts: mounts.toSpliced(indexOfHome(config), 0, mount) };
}

/** All mounts that a path inside may lie in: a home in memory is one among the others. */
export function mountsWithHome(config: Pick<SandboxConfig, 'home' | 'identity' | 'mounts'>): readonly Mount[] {
  const { home, identity, mounts } = config;
  if (home?.type !== 'tmp') return mounts;
  const memory: Mount = { type: 'ram', target: identity.home, usage: 0, includes: [] };
  return mounts.toSpliced(indexOfHome(config), 0, memory);
}

/** What to do about an include in the home that no mount covers. Undefined: it is not in a home of its own. */
export function remedyInHome(config: Pick<SandboxConfig, 'home' | 'identity'>, target: string): string | undefined {
  const { home, identity } = config;
  if (home === undefined || home.type === 'host' || !covers(identity.home, target)) return undefined;
  if (home.type === 'directory') return `put it into ${quote(home.path)}, which is the home`;
  return `put it into a directory for ${option('home')}, or add a mount in the home whose target is above it`;
}

/** Whether a mount is the one of {@link withHomeMount}. */
export function isHomeMount({ home, identity }: SandboxConfig, { target }: SandboxConfig['mounts'][number]): boolean {
  return home?.type === 'directory' && normalizePath(target) === normalizePath(identity.home);
}
