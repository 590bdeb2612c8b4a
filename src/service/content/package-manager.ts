/** The packages of a root: what is installed, and which files are whose. */
import { quote } from '../../config/errors.js';
import { serviceError } from '../errors.js';
import { dpkgOf } from './dpkg.js';
import { rpmOf } from './rpm.js';
import type { Package, PackageManager } from './types.js';

/** Undefined: the root has none that is known here. @param root a directory of this host */
export function packageManagerOf(root: string): PackageManager | undefined {
  return dpkgOf(root) ?? rpmOf(root);
}

/**
 * The package that a word names.
 * @throws {SandboxError} `package-name-invalid`, `package-not-installed`, `package-ambiguous`, `package-query-failed`
 */
export async function findPackage(manager: PackageManager, word: string): Promise<Package> {
  if (!/^[A-Za-z0-9][A-Za-z0-9+._-]*(?::[a-z0-9-]+)?$/.test(word))
    throw serviceError('package-name-invalid', `${quote(word)} cannot be a package`, 'name one, as nginx-common');
  const [found, ...others] = await manager.installed(word);
  if (found === undefined)
    throw serviceError(
      'package-not-installed',
      `the package ${quote(word)} is not installed`,
      'install it, or name another one with --package',
    );
  if (others.length > 0)
    throw serviceError(
      'package-ambiguous',
      `the package ${quote(word)} is installed more than once`,
      `name one of them: ${[found, ...others].map(({ name }) => name).join(', ')}`,
    );
  return found;
}
