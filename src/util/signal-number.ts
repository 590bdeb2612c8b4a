/** Signals by the names that people and images give them. */
import { constants } from 'node:os';

/** The highest signal of Linux. */
const LAST = 64;
/** Of a C library that keeps two for itself: signal(7). */
const FIRST_REAL_TIME = 34;
const REAL_TIME = /^RT(?:MIN(?:\+([12]?\d|30))?|MAX(?:-([12]?\d|30))?)$/;

/** The number of `KILL`, `SIGKILL`, `kill`, `9` or `RTMIN+3`; undefined: Linux has no such signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text) >= 1 && Number(text) <= LAST ? Number(text) : undefined;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [isRealTime, above = 0, below = 0] = REAL_TIME.exec(name) ?? [];
  if (isRealTime !== undefined)
    return name.startsWith('RTMIN') ? FIRST_REAL_TIME + Number(above) : LAST - Number(below);
  return Object.entries(constants.signals).find(([known]) => known === `SIG${name}`)?.[1];
}
