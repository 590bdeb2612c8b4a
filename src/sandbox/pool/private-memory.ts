/** The memory of a process that it shares with no other, and with no file. */
import { readFile } from 'node:fs/promises';
import { isSystemError } from '../../util/errors.js';

/**
 * Bytes of a process's private pages: proc_pid_smaps(5).
 * @returns undefined if the process has ended, or if its memory may not be looked at
 */
export async function privateBytes(pid: number): Promise<number | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1');
    const kibibytes = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)];
    return kibibytes.reduce((sum, [, number]) => sum + Number(number) * 1024, 0);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return undefined;
  }
}
