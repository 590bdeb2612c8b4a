/** Notices that a process does nothing. How long a busy one takes depends on the host, and on what else it does. */
import { readIfThere } from '../util/small-files.js';

/** Unit of the times in /proc/PID/stat, in milliseconds: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICK_MS = 10;

/** A process that uses less than this share of a processor does nothing. */
const LEAST_SHARE = 0.01;

/** An interval that took longer, in intervals, is none. */
const MOST_LATE = 1.5;

/**
 * Calls back once when a process has done nothing for `limit` milliseconds.
 * @returns ends the watch
 */
export function watchStillness(pid: number, limit: number, onStill: () => void): () => void {
  let before = usedMs(pid);
  let looked = performance.now();
  const timer = setInterval(() => {
    const now = usedMs(pid);
    // Where this process was stopped too, the other one may have been: nothing is known of that time.
    const isLate = performance.now() - looked > limit * MOST_LATE;
    looked = performance.now();
    if (now === undefined || before === undefined) clearInterval(timer);
    else if (!isLate && now - before < limit * LEAST_SHARE) {
      clearInterval(timer);
      onStill();
    }
    before = now;
  }, limit);
  return () => clearInterval(timer);
}

/** The processor time of all threads of a process; undefined if it is gone. */
function usedMs(pid: number): number | undefined {
  // The name, in parentheses, may contain anything.
  const fields = readIfThere(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ');
  if (fields === undefined) return undefined;
  // utime and stime, the 14th and 15th field; the state is the third.
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
