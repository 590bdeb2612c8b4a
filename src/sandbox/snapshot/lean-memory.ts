/** Keeps data that no sandbox needs out of a saved memory. */
import { constants } from 'node:os';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { findInPath } from '../../util/programs.js';

/** How much free memory to clear: more than a boot frees. A larger value gains nothing. */
const CLEARED_MEBIBYTES = 16;

/** Clears free memory, which would be saved too: a boot leaves 6 to 8 MB of data in it. Skipped if memory is scarce. */
export async function clearMemory(channel: Channel): Promise<void> {
  try {
    await channel.call({ op: 'clearMemory', mebibytes: CLEARED_MEBIBYTES }, { tolerate: true });
  } catch (error) {
    if (!(error instanceof OperationError) || error.errno !== constants.errno.ENOMEM) throw error;
  }
}

/** Punches holes for zero pages, so they take no space on the disk. */
export async function dropZeros(path: string): Promise<void> {
  const program = findInPath('fallocate');
  if (program === undefined) return;
  const { execa } = await import('execa');
  // Some file systems cannot do it. They keep the zeros.
  await execa(program, ['--dig-holes', path], { reject: false, stdio: 'ignore' });
}
