/**
 * Owners of files in the store. A file's name says which process owns it: boot, PID namespace, PID, and start time of
 * the process. So anyone can tell whether the owner still lives, without a lock that a killed process could not
 * release.
 */

import { readFileSync } from 'node:fs';
import { valueOr } from '../../util/errors.js';
import { sphere } from '../../util/sphere.js';

/**
 * Files of another boot or container are left alone for a day, since their owners cannot be looked up. Milliseconds.
 */
export const FOREIGN_AGE = 24 * 60 * 60 * 1000;

/** Start time of a process, in clock ticks after the boot (field 22 of proc_pid_stat(5)); undefined if it is gone. */
function startOf(pid: number | 'self'): string | undefined {
  const text = valueOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  // The second field is the program's name in parentheses. It may contain anything, even parentheses.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** The tag of this process: `BOOT-NAMESPACE-PID-START`. */
export function ownerTag(): string {
  return `${sphere()}-${process.pid}-${startOf('self') ?? '0'}`;
}

/**
 * True if the process that a tag names is gone.
 *
 * @param age Returns the file's age in milliseconds; called if the owner cannot be looked up from here.
 */
export function isOwnerGone(tag: string, age: () => number): boolean {
  const [, itsSphere, pid, start] = /^(\w+-\d+)-(\d+)-(\d+)$/.exec(tag) ?? [];
  if (itsSphere !== sphere() || pid === undefined) return age() > FOREIGN_AGE;
  return startOf(Number(pid)) !== start;
}
