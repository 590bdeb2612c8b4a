/** Paths on the host and in the guest. */
import { isAbsolute, posix } from 'node:path';
import { absolutePath } from '../util/working-directory.js';
import { argumentError } from './errors.js';

/**
 * Makes a host path absolute, as libvirt needs it. A path that is absolute already stays as it was written, byte for
 * byte, because sandbox.cfg shows it.
 * @param what the option or thing that has the path, for the message: `--root`
 * @throws SandboxError `path-empty`, `working-directory-gone`
 */
export function hostPath(path: string, what: string): string {
  if (path === '') throw argumentError('path-empty', `${what} has an empty path`, 'name a path on this host');
  return isAbsolute(path) ? path : absolutePath(path);
}

/** A path without `.`, `..`, repeated slashes and a final slash: two spellings of one path become equal. */
export function normalizePath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** True if `path` is `target` or below it; `/mnt` covers `/mnt/a` and not `/mnta`. */
export function covers(target: string, path: string): boolean {
  const above = normalizePath(target);
  const below = normalizePath(path);
  return above === '/' || below === above || below.startsWith(`${above}/`);
}
