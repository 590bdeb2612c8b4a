/** Stops a service that this process holds when a signal asks this process to end. */
import type { HeldService } from '../../service/run/held-service.js';

/** The first signal stops it orderly, a second one at once. */
export function endOnSignal(held: Pick<HeldService, 'stop'>, signals: readonly NodeJS.Signals[]): void {
  let isAsked = false;
  for (const signal of signals)
    process.on(signal, () => {
      void held.stop(isAsked ? 0 : undefined);
      isAsked = true;
    });
}
