/** A domain whose start was given up, and that may still come to be. */
import type { Domain } from '../../libvirt/connection.js';
import { settlesWithin } from '../../util/promises.js';

/** How long it may take, in milliseconds. */
const LATE_MS = 10_000;

/** Waits for it, and has libvirt give it up when it keeps everybody waiting. */
export async function lateDomain(
  starting: Promise<Domain> | undefined,
  callingOff: AbortController,
): Promise<Domain | undefined> {
  if (!starting) return undefined;
  if (!(await settlesWithin(starting, LATE_MS))) callingOff.abort();
  return (await settlesWithin(starting, LATE_MS)) ? starting.catch(() => undefined) : undefined;
}
