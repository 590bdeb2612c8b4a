/** The QEMU process behind a domain, known from the PID file that libvirt writes. */
import { readFile } from 'node:fs/promises';
import { isSystemError } from '../errors.js';
import { mark } from '../marks.js';
import type { Supervisor } from './supervisor.js';

/**
 * Kills the QEMU of a domain outright. libvirt polls a process that it ends itself every 200 ms, but notices one that is gone at once; so
 * where the guest has nothing left to write this saves the wait.
 * @param pidFile libvirt's PID file of the domain; it may be stale, so QEMU's command line must have the name
 * @param name the domain's
 * @returns false when that process is not there or not ours to kill
 */
export async function killQemu(supervisor: Supervisor, pidFile: string, name: string): Promise<boolean> {
  const pid = await readPid(pidFile);
  if (pid === undefined || !(await supervisor.killOutright(pid, `guest=${name}`))) return false;
  mark('qemu.killed', { pid });
  return true;
}

/** What libvirt's PID file says; undefined where there is none. */
export async function readPid(pidFile: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10);
    return pid > 1 ? pid : undefined;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
