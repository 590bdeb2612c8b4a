/** `--detach`: has another process start the sandbox and hold it, and waits until it runs. */
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
  return startHolder({ script: process.argv[1] ?? '', role: HOLD, what: 'the sandbox' }, words);
}
