/** Keeps data that no sandbox needs out of a saved memory. */
import { constants } from 'node:os';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { findInPath } from '../../util/programs.js';

/** How much free memory to clear: more than a boot frees. A larger value gains nothing. */
const CLEARED_MEBIBYTES = 16;

/** Clears free memory, which would be saved too: a boot leaves 6 to 8 MB of data in it. Skipped if memory is scarce. */
export async function clearMemory(channel: Channel, mebibytes = CLEARED_MEBIBYTES): Promise<void> {
  try {
    await channel.call({ op: 'clearMemory', mebibytes }, { tolerate: true });
  } catch (error) {
    if (!(error instanceof OperationError) || error.errno !== constants.errno.ENOMEM) throw error;
  }
}

/**
 * Clears half of what is free, which is what the init does at most: the pages that were freed last, so those of programs
 * that have ended. What is cached of files stays.
 */
export async function clearFree(channel: Channel): Promise<void> {
  const { value } = await channel.call({ op: 'readFile', path: '/proc/meminfo', limit: 4096 });
  const free = Number(/^MemFree:\s+(\d+) kB$/m.exec(Buffer.from(value).toString('latin1'))?.[1] ?? 0) / 1024;
  const mebibytes = Math.floor(free / 2) - 1;
  if (mebibytes > 0) await clearMemory(channel, mebibytes);
}

/** Punches holes for zero pages, so they take no space on the disk. */
export async function dropZeros(path: string): Promise<void> {
  const program = findInPath('fallocate');
  if (program === undefined) return;
  const { execa } = await import('execa');
  // Some file systems cannot do it. They keep the zeros.
  await execa(program, ['--dig-holes', path], { reject: false, stdio: 'ignore' });
}
