/** Waits for what happens while something else is at work, and that has to go on until then. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits for an event.
 * @param work what brings the event about, or its result
 * @throws the error of `work`, or that it has ended before the event
 */
export function during<T>(work: Promise<unknown>, event: Promise<T>): Promise<T> {
  const ended = work.then(() => {
    throw new Error('what was to go on until then has ended');
  });
  return Promise.race([event, ended]);
}

/** The same for what has to be looked at again and again. */
export async function holdsDuring(work: Promise<unknown>, holds: () => boolean): Promise<void> {
  const looking = new AbortController();
  try {
    await during(work, untilHolds(holds, looking.signal));
  } finally {
    looking.abort();
  }
}

async function untilHolds(holds: () => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !holds()) await delay(10);
}
