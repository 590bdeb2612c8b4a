/** Work that a signal ends: what was begun is left as the work leaves it. */
import { constants } from 'node:os';
import { SandboxError } from '../../util/errors.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';

/** @returns what the work returns, or the exit status of a program that the signal has ended */
export async function untilSignal(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const start = cancelOnSignal();
  try {
    return await work(start.abort);
  } catch (error) {
    if (start.signal === undefined || !(error instanceof SandboxError) || error.code !== 'aborted') throw error;
    return 128 + constants.signals[start.signal];
  } finally {
    start.release();
  }
}
