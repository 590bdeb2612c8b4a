/** What `create` is asked to copy: `--copy`, `--package` and `--copy-path`. */
import { lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { mountsWithHome } from '../../config/home.js';
import { covers, normalizePath } from '../../config/path.js';
import { rootText } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import { hiddenInContainer, OVER_ROOT } from '../../sandbox/devices/hidden-paths.js';
import { canEnter } from '../../sandbox/devices/home.js';
import { realPathIn } from '../../util/real-path.js';
import { serviceError } from '../errors.js';
import type { ServiceRoots } from '../paths.js';
import { packagesOf, type ServicePackages } from './packages.js';

/** As options have it. */
export interface ContentTexts {
  /** Files of packages are copied. */
  readonly copy?: boolean | undefined;
  readonly packages?: readonly string[] | undefined;
  /** Files that are copied, whoever they belong to. */
  readonly copyPaths?: readonly string[] | undefined;
}

/** What is asked for. */
export interface Content {
  readonly packages: ServicePackages;
  readonly isCopied: boolean;
  /** Paths in the root, without links above them. */
  readonly paths: readonly string[];
}

type Config = Pick<
  SandboxConfig,
  'root' | 'command' | 'service' | 'overlay' | 'hidden' | 'home' | 'identity' | 'mounts'
>;

/**
 * @throws {SandboxError} `service-copy-not-root`, `service-copy-of-image`, `service-copy-of-nothing`,
 *   `copy-path-missing`, `copy-path-unseen`, and what `packagesOf` throws
 */
export async function describeContent(
  roots: ServiceRoots,
  name: string,
  config: SandboxConfig,
  { copy = false, packages: words = [], copyPaths = [] }: ContentTexts,
): Promise<Content> {
  if (copy || copyPaths.length > 0) refuseUseless(roots, config);
  const packages = await packagesOf(name, config, words, copy);
  if (copy && packages.named.length + packages.ofUnits.length + copyPaths.length === 0) throw ofNothing(config);
  const unseen = unseenPaths(config);
  const paths = copyPaths.flatMap((path) => pathsOf(config, path, unseen));
  return { packages, isCopied: copy, paths: [...new Set(paths)] };
}

/** Paths of the root that a sandbox has something else at. */
export function unseenPaths(config: SandboxConfig): string[] {
  const { root, identity } = config;
  if (root.type === 'image') return [];
  // A home that the sandbox cannot enter is in memory: src/sandbox/devices/home.ts
  const { home } = identity;
  const isInMemory = home !== '/' && canEnter(join(root.path, dirname(home))) && !canEnter(join(root.path, home));
  return [
    ...OVER_ROOT,
    ...hiddenInContainer(config),
    ...mountsWithHome(config).map(({ target }) => normalizePath(target)),
    ...(isInMemory ? [home] : []),
  ];
}

/** The path itself, if it is a link, and where it leads. */
function pathsOf({ root }: Config, word: string, unseen: readonly string[]): string[] {
  const directory = root.type === 'directory' ? root.path : '/';
  const path = normalizePath(word);
  const above = path.startsWith('/') && path !== '/' ? realPathIn(directory, dirname(path)) : undefined;
  const own = above === undefined ? undefined : join(above, basename(path));
  const real = own === undefined ? undefined : realPathIn(directory, own);
  const found = real === undefined ? undefined : lstatSync(join(directory, real), { throwIfNoEntry: false });
  if (own === undefined || real === undefined || found === undefined) throw missing(word, directory);
  const other = unseen.find((one) => covers(one, real) || covers(one, own));
  if (other !== undefined) throw unseenError(word, other);
  return [own, real];
}

function refuseUseless({ scope }: ServiceRoots, { root }: Config): void {
  if (scope === 'user')
    throw serviceError(
      'service-copy-not-root',
      'only root can copy files that only root may read',
      'leave out --copy and --copy-path: a service of yours reads what you may read',
    );
  if (root.type === 'image')
    throw configError(
      'service-copy-of-image',
      `root in a service reads all files of the image ${quote(rootText(root))}, so there is nothing to copy`,
      'leave out --copy and --copy-path',
    );
}

function ofNothing({ command: [program = ''], service }: Config) {
  const what = service?.type === 'systemd' ? service.units : [program];
  return configError(
    'service-copy-of-nothing',
    `nothing says what --copy is to copy: no package has ${what.map((one) => quote(one)).join(' or ')}`,
    'name a package with --package, or files with --copy-path',
  );
}

function missing(path: string, root: string) {
  return configError(
    'copy-path-missing',
    `${quote(path)}, of --copy-path, is not there${root === '/' ? '' : ` in ${quote(root)}`}`,
    'name a file or a directory by its absolute path',
  );
}

function unseenError(path: string, other: string) {
  return configError(
    'copy-path-unseen',
    `a copy of ${quote(path)} would not be seen: the sandbox has something else at ${quote(other)}`,
    'leave it out, or pass it with --mount host-bind',
  );
}
