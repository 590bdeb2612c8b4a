/** `--detach`: has another process start the sandbox and hold it, and waits until it runs. */
import { join } from 'node:path';
import { packageDirectory } from '../../util/programs.js';
import { HOLD } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import { usageError } from '../usage-error.js';
import { debugWish } from './wishes.js';

/**
 * Prints the sandbox's name when it runs.
 * @param words of the command line
 * @returns the exit status for this process
 */
export async function detach(words: readonly string[]): Promise<number> {
  if (debugWish().step !== undefined)
    throw usageError('--detach has no terminal for LIBVIRT_SANDBOX_INIT_DEBUG=break:STEP', 'virt-sandbox');
  // Another program may have called this one's code.
  const script = join(packageDirectory(), 'bin', 'virt-sandbox');
  return startHolder({ script, role: HOLD, what: 'the sandbox' }, words);
}
