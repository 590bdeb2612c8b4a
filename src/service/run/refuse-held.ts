/** A start while another process holds the service. */
import { pause } from '../../oci/cancel.js';
import { startTime } from '../../sandbox/state/state-directory.js';
import { valueOr } from '../../util/errors.js';
import { findHolder } from './claim.js';
import { alreadyRuns } from './errors.js';
import { OVER, readServiceRecord } from './record.js';

/** A holder that has recorded the end may have to unmount a bound, with much to be written. In milliseconds. */
const LETTING_GO_MS = 10_000;
const LOOK_MS = 50;

/**
 * Refuses a service that another process holds. `status` may say already that it has ended: then its holder is about to let
 * it go, and this waits for that.
 * @param life the directory of its record
 * @throws {SandboxError} `service-running`, `aborted`
 */
export async function refuseHeld(name: string, life: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + LETTING_GO_MS;
  let ofUnit: string | undefined;
  for (let holder = findHolder(name); holder !== undefined; holder = findHolder(name)) {
    const record = readServiceRecord(life, name);
    const isOver = record?.owner === holder.owner && OVER.includes(record.phase);
    if (!isOver || Date.now() > deadline) throw alreadyRuns(name);
    ofUnit = record.unit === undefined ? undefined : holder.owner;
    await pause(LOOK_MS, signal);
  }
  // As long as the process is there, its unit is active: systemd has nothing to start then, and says nothing.
  while (ofUnit !== undefined && lives(ofUnit) && Date.now() <= deadline) await pause(LOOK_MS, signal);
}

/** @param owner a process ID, and the start of that process */
function lives(owner: string): boolean {
  const [pid, started] = owner.split(' ');
  return valueOr(() => startTime(Number(pid)) === started, false);
}
