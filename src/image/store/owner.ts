/**
 * Who a file in the store belongs to, written into its name: boot, process namespace, process, and when that process
 * started. Whoever finds one can tell whether its owner still lives, without a lock that a killed process would have to
 * release.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import { valueOr } from '../../util/errors.js';

/** A thing from another boot or container cannot be asked about its owner; it is left alone for a day, in milliseconds. */
const FOREIGN_AGE = 24 * 60 * 60 * 1000;

/** `BOOT-NAMESPACE`: processes with the same one see each other under the same numbers. */
function sphere(): string {
  const boot = valueOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'), 'unknown');
  const namespace = valueOr(() => readlinkSync('/proc/self/ns/pid'), '0');
  return `${boot.trim().replaceAll('-', '').slice(0, 12)}-${namespace.replace(/\D/g, '')}`;
}

/** When a process started, in clock ticks after the boot (field 22 of proc_pid_stat(5)); undefined when it is gone. */
function startOf(pid: number | 'self'): string | undefined {
  const text = valueOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  // The second field is the program's name in parentheses, and may hold anything, even a parenthesis.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** This process, as `BOOT-NAMESPACE-PID-START`. */
export function ownerTag(): string {
  return `${sphere()}-${process.pid}-${startOf('self') ?? '0'}`;
}

/**
 * True when the process that a tag names is gone.
 *
 * @param age How old the thing is, in milliseconds; asked for where the owner cannot be looked for from here.
 */
export function isOwnerGone(tag: string, age: () => number): boolean {
  const [, itsSphere, pid, start] = /^(\w+-\d+)-(\d+)-(\d+)$/.exec(tag) ?? [];
  if (itsSphere !== sphere() || pid === undefined) return age() > FOREIGN_AGE;
  return startOf(Number(pid)) !== start;
}
