/** Times of last change, as Node.js takes them. */
import type { TreeMeta } from './format.js';

/** Later ones are beyond every file system. */
const LAST_SECOND = 2n ** 40n;

/**
 * Seconds for utimes(2) of Node.js, which cuts them to whole microseconds and takes what is before 1970 for the present.
 * @returns the time to the microsecond; 0 for one before 1970
 */
export function timeOf({ seconds, nanoseconds }: TreeMeta): number {
  if (seconds < 0n) return 0;
  const microseconds = Math.floor(nanoseconds / 1000);
  // Half a microsecond more, so that rounding does not take one away.
  return Number(seconds > LAST_SECOND ? LAST_SECOND : seconds) + (microseconds + 0.5) / 1e6;
}
