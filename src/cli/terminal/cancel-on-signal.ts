/** Cancels work of this process when a signal asks it to end. */
import { ENDING } from './forward.js';
import { eraseStatusLines } from './status-lines.js';

/**
 * Aborts `abort` at SIGTERM, SIGHUP or SIGINT, until `release` is called. A second signal kills this process, but not a
 * second SIGHUP: one terminal that is closed sends two, by the shell and by the kernel, a millisecond apart.
 */
export function cancelOnSignal(): {
  readonly abort: AbortSignal;
  /** The first signal that came. */
  readonly signal: NodeJS.Signals | undefined;
  release: () => void;
} {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const signals: readonly NodeJS.Signals[] = [...ENDING, 'SIGINT'];
  const handler = (signal: NodeJS.Signals) => {
    if (signal === 'SIGHUP' && received === signal) return;
    // A second signal: do not wait for a daemon that may never answer. The supervisor cleans up, and who builds in the
    // same store next removes a workspace that is left there.
    if (received) {
      eraseStatusLines();
      process.kill(process.pid, 'SIGKILL');
    }
    received ??= signal;
    controller.abort(signal);
  };
  for (const signal of signals) process.on(signal, handler);
  return {
    abort: controller.signal,
    get signal() {
      return received;
    },
    release: () => {
      for (const signal of signals) process.off(signal, handler);
    },
  };
}
