/** What a machine needs that has waited: the time, random bytes of its own, and the name of its host. */
import { randomBytes } from 'node:crypto';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Guest } from '../../protocol/operations.js';
import { GuestClock } from '../setup/clock.js';

/**
 * Gives a guest that has just been let run what its set-up gave it, anew. Answers prove that it is alive.
 * @param config what the guest was set up by
 * @param hostname undefined: it keeps its own
 * @returns its clock, which has been set, and may want to be corrected
 * @throws {OperationError | SandboxError} the guest refuses, or is gone
 */
export async function wakeGuest(guest: Guest, config: GuestConfig, hostname: string | undefined): Promise<GuestClock> {
  const clock = new GuestClock(guest);
  // The clock comes first: the time until its answer bounds its error.
  const calls: Promise<unknown>[] = [guest.call({ op: 'setClock', ...clock.now() }).then(() => clock.answered())];
  calls.push(guest.call({ op: 'addEntropy', data: randomBytes(64) }));
  if (hostname !== undefined) {
    calls.push(guest.call({ op: 'hostname', name: hostname }));
    if (config.ociRoot) calls.push(renameHost(guest, { ...config, hostname }));
  }
  await Promise.all(calls);
  return clock;
}

/** Only an image has files that say what its host is called. */
async function renameHost(guest: Guest, config: GuestConfig): Promise<void> {
  const { renewHostFiles } = await import('../../../init/common/oci-root.js');
  await renewHostFiles(guest, config);
}
