/** The memory of a machine that it shares with no other, and with no file. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SHARED_MEMORY_LINK } from '../../domain/snapshot.js';
import { isSystemError } from '../../util/errors.js';

/** Unit of `stat` of Node.js: stat(2), st_blocks. */
const BLOCK_BYTES = 512;

/**
 * Bytes of a QEMU's private pages (proc_pid_smaps(5)), and of the memory that it shares with what serves its guest, whoever
 * has mapped how much of that.
 * @returns undefined if the process has ended, or if its memory may not be looked at
 */
export async function privateBytes(pid: number): Promise<number | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1');
    const sum = (pattern: RegExp) =>
      [...text.matchAll(pattern)].reduce((bytes, [, kibibytes]) => bytes + Number(kibibytes) * 1024, 0);
    const own = sum(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
    const shared = await sharedBytes(`/proc/${pid}/fd`);
    // What is mapped of it counts as private too, unless its server has mapped it.
    return shared === 0 ? own : own - sum(/^Pss_Shmem:\s+(\d+) kB$/gm) + shared;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return undefined;
  }
}

/** Of the memory in a memfd. 0: it has none. */
async function sharedBytes(descriptors: string): Promise<number> {
  for (const name of await readdir(descriptors)) {
    const path = join(descriptors, name);
    if ((await readlink(path).catch(() => '')) === SHARED_MEMORY_LINK) return (await stat(path)).blocks * BLOCK_BYTES;
  }
  return 0;
}
