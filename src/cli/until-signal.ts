/** Runs work that a signal cancels, and reports what it has done by then. */
import { constants } from 'node:os';
import { SandboxError } from '../util/errors.js';
import { cancelOnSignal } from './terminal/cancel-on-signal.js';

/**
 * @param work that a signal cancels. What it returns all the same is reported.
 * @param report prints the result. A signal that comes meanwhile ends it at once: its reader may be slow.
 * @returns what `report` returns, or the exit status of a program that the signal has ended
 */
export async function untilSignal<T>(
  work: (signal: AbortSignal) => Promise<T>,
  report: (result: T) => Promise<number>,
): Promise<number> {
  const start = cancelOnSignal();
  try {
    const result = await work(start.abort);
    const reporting = report(result);
    const status = await (start.signal === undefined ? unlessAborted(reporting, start.abort) : reporting);
    // It came too late to change anything, but whoever sent it wants what calls this program to end too.
    return start.signal === undefined ? (status ?? 0) : statusOf(start.signal);
  } catch (error) {
    if (start.signal === undefined || !(error instanceof SandboxError) || error.code !== 'aborted') throw error;
    return statusOf(start.signal);
  } finally {
    start.release();
  }
}

/** Resolves with undefined as soon as the signal is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  // After a signal nobody is interested in how it ends.
  promise.catch(() => {});
  return Promise.race([promise, aborted]);
}

function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
