/** Paths on the host and inside. */
import { isAbsolute, posix } from 'node:path';
import { absolutePath } from '../util/working-directory.js';
import { argumentError } from './failure.js';

/**
 * A path of the host as libvirt needs it: absolute. One that is absolute already stays as it was written, byte for
 * byte, because sandbox.cfg shows it.
 * @param what what has the path, for the message: `--root`
 * @throws SandboxError `path-empty`, `working-directory-gone`
 */
export function hostPath(path: string, what: string): string {
  if (path === '') throw argumentError('path-empty', `${what} has an empty path`, 'name a path on this host');
  return isAbsolute(path) ? path : absolutePath(path);
}

/** A path inside, without `.`, `..`, repeated slashes and a slash at its end: two names of one place become equal. */
export function normalizePath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** True when `path` is `target` or below it; `/mnt` covers `/mnt/a` and not `/mnta`. */
export function covers(target: string, path: string): boolean {
  const above = normalizePath(target);
  const below = normalizePath(path);
  return above === '/' || below === above || below.startsWith(`${above}/`);
}
