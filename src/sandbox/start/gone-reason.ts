/** Why a connection to a guest broke. */

import type { Domain } from '../../libvirt/connection.js';
import { SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import type { Console } from './console.js';
import { goneError } from './failure.js';

/** How long libvirt may take to tell of a QEMU that is gone, in milliseconds. */
const STOPPED_MS = 2000;

/**
 * The channel only knows that it broke; the console knows more, and so does libvirt where QEMU never ran the machine.
 * @returns `error` itself where it is another
 */
export async function goneReason(error: unknown, console: Console, domain: Domain | undefined): Promise<unknown> {
  if (!(error instanceof SandboxError) || error.code !== 'guest-gone' || error.consoleTail.length > 0) return error;
  if (domain && (await settlesWithin(domain.stopped, STOPPED_MS))) {
    const { error: refused } = await domain.stopped;
    if (refused) return refused;
  }
  return goneError(console, false);
}
