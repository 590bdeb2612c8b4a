/**
 * Paths relative to the working directory, which may have been removed. Node's own functions then throw a bare ENOENT.
 */
import { resolve } from 'node:path';
import { isSystemError, SandboxError } from './errors.js';

/**
 * The absolute form of a path.
 *
 * @throws {SandboxError} `working-directory-gone`, if the path is relative
 */
export function absolutePath(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'working-directory-gone',
      message: `the working directory is gone (${error.code}), and ${JSON.stringify(path)} is relative to it`,
      remedy: 'change to another directory, or give an absolute path',
      cause: error,
    });
  }
}
