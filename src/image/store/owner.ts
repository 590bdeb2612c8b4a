/**
 * Owners of files in the store. A file's name says which process owns it: boot, PID namespace, PID, and start time of
 * the process. So anyone can tell whether the owner still lives, without a lock that a killed process could not
 * release.
 */

import { startOf } from '../../util/process-group.js';
import { sphere } from '../../util/sphere.js';

/**
 * Files of another boot or container are left alone for a day, since their owners cannot be looked up. Milliseconds.
 */
export const FOREIGN_AGE = 24 * 60 * 60 * 1000;

/** The tag of a process, default: this one: `BOOT-NAMESPACE-PID-START`. */
export function ownerTag(pid = process.pid): string {
  return `${sphere()}-${pid}-${startOf(pid) ?? '0'}`;
}

/** The process that a tag names; undefined if it cannot be looked up from here. */
export function ownerOf(tag: string): { readonly pid: number; readonly start: string } | undefined {
  const [, itsSphere, pid, start] = /^(\w+-\d+)-(\d+)-(\d+)$/.exec(tag) ?? [];
  if (itsSphere !== sphere() || pid === undefined || start === undefined) return undefined;
  return { pid: Number(pid), start };
}

/**
 * True if the process that a tag names is gone.
 *
 * @param age Returns the file's age in milliseconds; called if the owner cannot be looked up from here.
 */
export function isOwnerGone(tag: string, age: () => number): boolean {
  const owner = ownerOf(tag);
  return owner === undefined ? age() > FOREIGN_AGE : startOf(owner.pid) !== owner.start;
}
