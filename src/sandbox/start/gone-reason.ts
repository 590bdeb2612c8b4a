/** Finds out why the connection to a guest broke. */

import type { Domain } from '../../libvirt/connection.js';
import { SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import { goneError } from './boot-errors.js';
import type { Console } from './console.js';

/** How long libvirt may take to report that a QEMU is gone, or that it did not start one, in milliseconds. */
const STOPPED_MS = 2000;

/**
 * The channel knows only that it broke. The console may know why, and so does libvirt if QEMU did not run the machine.
 * @param starting the start of the domain, which libvirt may not have finished
 * @returns `error` itself unless it is a `guest-gone` without console output
 */
export async function goneReason(
  error: unknown,
  console: Console,
  starting: Promise<Domain> | undefined,
): Promise<unknown> {
  if (!(error instanceof SandboxError) || error.code !== 'guest-gone' || error.consoleTail.length > 0) return error;
  const refusal = starting && refusalOf(starting);
  const known = refusal && (await settlesWithin(refusal, STOPPED_MS)) ? await refusal : undefined;
  return known ?? goneError(console, 'starting');
}

/** Why libvirt did not start the domain, or why QEMU ended; undefined: for no reason that libvirt knows. */
async function refusalOf(starting: Promise<Domain>): Promise<unknown> {
  try {
    const { stopped } = await starting;
    return (await stopped).error;
  } catch (refused) {
    return refused;
  }
}
