/** Work that a signal ends: what was begun is left as the work leaves it. */
import { constants } from 'node:os';
import { SandboxError } from '../../util/errors.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';

/** @returns what the work returns, or the exit status of a program that the signal has ended */
export async function untilSignal(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const start = cancelOnSignal();
  try {
    const status = await work(start.abort);
    // It came too late to change anything, but whoever sent it wants what calls this program to end too.
    return start.signal === undefined ? status : statusOf(start.signal);
  } catch (error) {
    if (start.signal === undefined || !(error instanceof SandboxError) || error.code !== 'aborted') throw error;
    return statusOf(start.signal);
  } finally {
    start.release();
  }
}

function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
