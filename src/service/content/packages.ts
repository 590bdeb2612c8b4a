/** Whose files a service is about: the packages of its units or of its program, and those that are named. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import { realPathIn } from '../../util/real-path.js';
import { serviceError } from '../errors.js';
import { filesOfDirectory, findUnit } from '../units/find.js';
import { findPackage, packageManagerOf } from './package-manager.js';
import type { PackageManager } from './types.js';

/** Where a program without a slash in its name is looked for inside. */
const SEARCH_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The packages of a service. */
export interface ServicePackages {
  /** Undefined: the root has no packages that are known here. */
  readonly manager: PackageManager | undefined;
  /** The names of those that were named, and of the program's. */
  readonly named: readonly string[];
  /** Those of the units. */
  readonly ofUnits: readonly string[];
}

/**
 * @param words packages that are named: `--package`
 * @param isCopied whether files of the packages are to be copied: only then the program's owner is asked for
 * @throws {SandboxError} `package-manager-missing`, and what `findPackage` and `findUnit` throw
 */
export async function packagesOf(
  name: string,
  { root, command, service }: Pick<SandboxConfig, 'root' | 'command' | 'service'>,
  words: readonly string[],
  isCopied: boolean,
): Promise<ServicePackages> {
  if (root.type !== 'directory' || (words.length === 0 && !isCopied))
    return { manager: undefined, named: [], ofUnits: [] };
  const manager = packageManagerOf(root.path);
  if (manager === undefined) {
    if (words.length > 0) throw noManager(root.path);
    return { manager, named: [], ofUnits: [] };
  }
  const named: string[] = [];
  for (const word of words) named.push((await findPackage(manager, word)).name);
  if (!isCopied) return { manager, named: unique(named), ofUnits: [] };
  const ofUnits =
    service?.type === 'systemd'
      ? service.units.map((unit) => findUnit(filesOfDirectory(root.path), unit, name).path)
      : [];
  const program = service?.type === 'systemd' ? undefined : programIn(root.path, command[0]);
  return {
    manager,
    named: unique([...named, ...(await builtWith(manager, root.path, program === undefined ? [] : [program]))]),
    ofUnits: await builtWith(manager, root.path, ofUnits),
  };
}

/**
 * The packages that own files, and those that were built from the same source: a daemon, its unit and its configuration
 * are often in several.
 */
async function builtWith(manager: PackageManager, root: string, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return [];
  const real = paths.map((path) => realPathIn(root, path) ?? path);
  const owners = new Set([...(await manager.owners(real)).values()].flat());
  if (owners.size === 0) return [];
  const all = await manager.installed();
  const sources = new Set(all.filter(({ name }) => isOwner(owners, name)).map(({ source }) => source));
  return all.filter((one) => sources.has(one.source)).map(({ name }) => name);
}

/** Owners have their architecture only where there are several. */
function isOwner(owners: ReadonlySet<string>, name: string): boolean {
  return owners.has(name) || owners.has(name.replace(/:[^:]*$/, ''));
}

/** Where the program of a command is in the root; undefined: it is not there. */
function programIn(root: string, program: string | undefined): string | undefined {
  if (program === undefined) return undefined;
  const paths = program.startsWith('/')
    ? [program]
    : program.includes('/')
      ? []
      : SEARCH_PATH.map((directory) => join(directory, program));
  return paths.find((path) => isFile(root, path));
}

function isFile(root: string, path: string): boolean {
  const real = realPathIn(root, path);
  return real !== undefined && lstatSync(join(root, real), { throwIfNoEntry: false })?.isFile() === true;
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

function noManager(root: string) {
  return serviceError(
    'package-manager-missing',
    `no packages of dpkg or rpm are known in ${quote(root)}`,
    'name files with --copy-path instead of --package, or install dpkg or rpm on this host',
  );
}
