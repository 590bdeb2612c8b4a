/** Calling off what goes on in this process. */
import { ENDING } from './forward.js';

/** Until `release` is called, a signal calls off what has been given `abort`. */
export function cancelOnSignal(): {
  readonly abort: AbortSignal;
  readonly signal: NodeJS.Signals | undefined;
  release: () => void;
} {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const signals: readonly NodeJS.Signals[] = [...ENDING, 'SIGINT'];
  const handler = (signal: NodeJS.Signals) => {
    // Whoever asks twice does not want to wait for a daemon that does not answer; the supervisor cleans up.
    if (received) process.kill(process.pid, 'SIGKILL');
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
