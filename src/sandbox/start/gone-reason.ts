/** Finds out why the connection to a guest broke. */

import type { Domain } from '../../libvirt/connection.js';
import { SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import { goneError } from './boot-errors.js';
import type { Console } from './console.js';

/** How long libvirt may take to report a QEMU that is gone, in milliseconds. */
const STOPPED_MS = 2000;

/**
 * The channel knows only that it broke. The console may know why, and so does libvirt if QEMU did not run the machine.
 * @returns `error` itself unless it is a `guest-gone` without console output
 */
export async function goneReason(error: unknown, console: Console, domain: Domain | undefined): Promise<unknown> {
  if (!(error instanceof SandboxError) || error.code !== 'guest-gone' || error.consoleTail.length > 0) return error;
  if (domain && (await settlesWithin(domain.stopped, STOPPED_MS))) {
    const { error: refused } = await domain.stopped;
    if (refused) return refused;
  }
  return goneError(console, false);
}
