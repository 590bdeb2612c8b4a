/** Tells the programs of a machine that it was restored: they may have random numbers, and times, of another run. */
import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import type { PreparedFacts } from '../../image/snapshot/record.js';
import type { Guest } from '../../protocol/operations.js';

/** It has another text in each sandbox; before the machine is saved it is there, and empty. */
export const RESTORED_FILE = '/run/virt-sandbox/restored';

/**
 * Writes that file, then sends the signal.
 * @throws {OperationError} the file cannot be written: programs would go on without knowing
 */
export async function tellRestored(guest: Guest, { process, notify }: PreparedFacts): Promise<void> {
  const writing = writeRestored(guest, `${randomUUID()}\n`);
  const told =
    process === undefined || notify === undefined
      ? undefined
      : guest.call({ op: 'signal', process, signal: notify }, { tolerate: true }).catch(() => {});
  await Promise.all([writing, told]);
}

/** @param text empty: nothing was restored yet */
export async function writeRestored(guest: Guest, text: string): Promise<void> {
  const path = posix.dirname(RESTORED_FILE);
  const making = guest.call({ op: 'mkdir', path, mode: 0o755 }, { tolerate: true }).catch(() => {});
  const data = new TextEncoder().encode(text);
  const writing = guest.call({ op: 'writeFile', path: RESTORED_FILE, mode: 0o644, flags: 0, data });
  await Promise.all([making, writing]);
}
