/**
 * Who reads a file system of the store besides its owner. Its name is no key: the kernel tells the name of what is
 * mounted to everybody, and so does the command line of a QEMU. So it is in a directory that is closed, until a QEMU
 * needs it that runs as another user.
 */
import { chmodSync, chownSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { isSystemError } from '../../util/errors.js';

/** A group, by its number; or everybody. */
export type RootReaders = number | 'all';

/** Of a directory in which nobody else may look for names. */
const ENTERED_BY_GROUP = 0o710;
const ENTERED_BY_ALL = 0o711;

/**
 * Lets them read a file system. It stays so: another sandbox may be about to open it. Of two groups, the last one may.
 * @param path the EROFS image
 * @throws {SandboxError} `store-not-writable`
 */
export function letRead(path: string, readers: RootReaders): void {
  const directory = dirname(path);
  const store = dirname(directory);
  // What stands for any image is no file of the store, and its directory is the host's.
  if (!/^[0-9a-f]{64}$/.test(basename(directory))) return;
  try {
    const { mode, gid } = statSync(directory);
    const isOpenToAll = (mode & 0o001) !== 0;
    if (readers === 'all') {
      if (!isOpenToAll) chmodSync(directory, ENTERED_BY_ALL);
    } else if (!isOpenToAll && (gid !== readers || (mode & 0o010) === 0)) {
      chownSync(directory, -1, readers);
      chmodSync(directory, ENTERED_BY_GROUP);
    }
    if ((statSync(store).mode & 0o001) === 0) chmodSync(store, ENTERED_BY_ALL);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw imageError(
      'store-not-writable',
      `QEMU runs as another user, and ${path} cannot be opened to it (${error.code})`,
      'make its directory one that this user owns, on a file system that is not mounted read-only',
      error,
    );
  }
}
