/** The names in a directory. */
import { opendirSync } from 'node:fs';

/**
 * Reads the names in a directory piece by piece: a guest may have made more than there is memory for. The directory is
 * open until all names were taken, or no more are.
 * @param fd of the directory
 * @throws the error of a system call
 */
export function* namesIn(fd: number): Generator<Buffer, void> {
  const directory = opendirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync())
      yield Buffer.from(entry.name, 'latin1');
  } finally {
    directory.closeSync();
  }
}
