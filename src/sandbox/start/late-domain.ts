/** A domain that may still start after its launch has failed. */
import type { Domain } from '../../libvirt/connection.js';
import { settlesWithin } from '../../util/promises.js';

/** How long to wait for it, in milliseconds. */
const LATE_MS = 10_000;

/** Waits for the domain, then aborts its start. Undefined if it did not start. */
export async function lateDomain(
  starting: Promise<Domain> | undefined,
  cancelling: AbortController,
): Promise<Domain | undefined> {
  if (!starting) return undefined;
  if (!(await settlesWithin(starting, LATE_MS))) cancelling.abort();
  return (await settlesWithin(starting, LATE_MS)) ? starting.catch(() => undefined) : undefined;
}
