/** A start while another process holds the service, or has just let it go. */
import { setTimeout as delay } from 'node:timers/promises';
import { startTime } from '../../sandbox/state/state-directory.js';
import { valueOr } from '../../util/errors.js';
import { abortedError } from '../errors.js';
import { findHolder } from './claim.js';
import { alreadyRuns } from './errors.js';
import { OVER, readServiceRecord } from './record.js';

/** A holder that has recorded the end may have to unmount a bound, with much to be written. In milliseconds. */
const LETTING_GO_MS = 10_000;
const LOOK_MS = 50;

export interface HeldOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a process that has recorded the end may take, in milliseconds. */
  readonly patience?: number;
}

/**
 * Refuses a service that another process holds. `status` may say already that it has ended: then its holder is about to let
 * it go, and this waits for that.
 * @param life the directory of its record
 * @throws {SandboxError} `service-running`, `aborted`
 */
export async function refuseHeld(name: string, life: string, options: HeldOptions = {}): Promise<void> {
  await untilGone(name, options, () => {
    const holder = findHolder(name);
    if (holder === undefined) return false;
    const record = readServiceRecord(life, name);
    if (record?.owner !== holder.owner || !OVER.includes(record.phase)) throw alreadyRuns(name);
    return true;
  });
}

/**
 * Waits until the process of a unit that has let its service go has ended: the unit is active until then, and systemd
 * starts nothing, and says nothing of that.
 * @param life the directory of its record
 * @throws {SandboxError} `service-running`: it does not end; `aborted`
 */
export async function untilUnitEnds(
  name: string,
  life: string,
  unit: string,
  options: HeldOptions = {},
): Promise<void> {
  const record = readServiceRecord(life, name);
  if (record === undefined || record.unit !== unit || !OVER.includes(record.phase)) return;
  await untilGone(name, options, () => lives(record.owner));
}

async function untilGone(
  name: string,
  { signal, patience = LETTING_GO_MS }: HeldOptions,
  isThere: () => boolean,
): Promise<void> {
  for (const deadline = Date.now() + patience; isThere(); ) {
    if (Date.now() > deadline) throw alreadyRuns(name);
    await delay(LOOK_MS, undefined, { signal }).catch(() => {
      throw abortedError(name);
    });
  }
}

/** @param owner a process ID, and the start of that process */
function lives(owner: string): boolean {
  const [pid, started] = owner.split(' ');
  return valueOr(() => startTime(Number(pid)) === started, false);
}
