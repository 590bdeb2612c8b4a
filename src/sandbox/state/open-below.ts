/** Opens directories of another user, who may change them at any moment. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/**
 * Opens a directory below a user's home, without following a link.
 * @throws a system error: ENOENT, ELOOP or ENOTDIR for what is not there or not the user's
 */
export function openBelow(uid: number, home: string, below: readonly string[]): number {
  let fd = openSync(home, O_RDONLY | O_DIRECTORY);
  for (const part of below) {
    const parent = fd;
    try {
      fd = openSync(`/proc/self/fd/${parent}/${part}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } finally {
      closeSync(parent);
    }
    if (fstatSync(fd).uid === uid) continue;
    closeSync(fd);
    throw Object.assign(new Error(`${part} belongs to another user`), { code: 'ENOTDIR' });
  }
  return fd;
}
