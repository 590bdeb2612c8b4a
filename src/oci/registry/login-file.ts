/** The auth file that logins are written to: it is changed as a whole, by one at a time, and stays where it is. */
import { accessSync, chmodSync, constants, lstatSync, realpathSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { isFresh, replaceFile } from '../../util/replace-file.js';
import { absolutePath } from '../../util/working-directory.js';
import { withLock } from '../lock.js';
import { authsOf, readLoginFile } from './auth-files.js';

/** What a file has of registries, by their names. */
export type Auths = Readonly<Record<string, unknown>>;

/**
 * Refuses a file that could not be changed, and leaves all as it is. It is for the time before a password is asked for,
 * and sent.
 * @throws {SandboxError} `auth-file-unreadable`, `auth-file-not-writable`
 */
export function refuseUnwritable(path: string): void {
  readLoginFile(path);
  try {
    // Files are made there: a lock, and the new content.
    accessSync(existing(dirname(absolutePath(targetOf(path)))), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
}

/** The lowest directory of a path that is there. */
function existing(directory: string): string {
  let at = directory;
  while (lstatSync(at, { throwIfNoEntry: false }) === undefined && at !== dirname(at)) at = dirname(at);
  return at;
}

/**
 * Changes what a file has of registries; what else is in it stays as it is. Of two who change it at once, one waits.
 * @param edit returns undefined to leave it
 * @returns the content of the file from then on
 * @throws {SandboxError} `auth-file-unreadable`, `auth-file-not-writable`, `aborted`
 */
export async function changeLoginFile(
  path: string,
  signal: AbortSignal | undefined,
  edit: (auths: Auths) => Auths | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    if (makeDirectories(dirname(path), 0o700) !== undefined) chmodSync(dirname(path), 0o700);
    const target = targetOf(path);
    const lock = `${target}.lock`;
    return await withLock(lock, 'exclusive', { signal }, async () => {
      try {
        await sweepFresh(target);
        const file = readLoginFile(path);
        const auths = edit(authsOf(file));
        if (auths === undefined) return file;
        const changed = { ...file, auths };
        const content = `${JSON.stringify(changed, undefined, 2)}\n`;
        await replaceFile(target, content, { mode: 0o600, flush: true });
        return changed;
      } finally {
        // A process that waits for the lock sees that it is gone, and makes a new one.
        await rm(lock, { force: true });
      }
    });
  } catch (error) {
    throw notWritable(path, error);
  }
}

/** Removes what a login has left that was killed: it has passwords in it. */
async function sweepFresh(path: string): Promise<void> {
  const directory = dirname(path);
  const left = (await readdir(directory)).filter((name) => isFresh(name, path));
  await Promise.all(left.map((name) => rm(join(directory, name), { force: true })));
}

/** The file that a symbolic link leads to: the link stays, and no password stays behind it. */
function targetOf(path: string): string {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? realpathSync(path) : path;
}

function notWritable(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return imageError(
    'auth-file-not-writable',
    `the auth file ${path} cannot be written (${error.code})`,
    'name another with --authfile',
    error,
  );
}
