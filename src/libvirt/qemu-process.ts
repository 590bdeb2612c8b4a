/** The QEMU process behind a domain, known from the PID file that libvirt writes. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, valueOr } from '../util/errors.js';
import { mark } from '../util/marks.js';
import type { Supervisor } from './supervisor.js';

/**
 * Kills the QEMU of a domain outright, and before it what serves it directories. libvirt polls a process that it ends itself every 200 ms, but
 * notices one that is gone at once; so where the guest has nothing left to write this saves the wait.
 * @param pidFile libvirt's PID file of the domain; it may be stale, so QEMU's command line must have the name
 * @param name the domain's
 * @param prefix of the names of PID files of the domain's other processes, in the same directory; undefined: it is not known yet
 * @returns false when that process is not there or not ours to kill
 */
export async function killQemu(
  supervisor: Supervisor,
  pidFile: string,
  name: string,
  prefix: string | undefined,
): Promise<boolean> {
  const pid = await readPid(pidFile);
  if (pid === undefined) return false;
  for (const file of prefix === undefined ? [] : serversIn(dirname(pidFile), prefix)) {
    const server = await readPid(file);
    if (server !== undefined && (await supervisor.killOutright(server, VIRTIOFSD_ARGUMENT)))
      mark('virtiofsd.killed', { pid: server });
  }
  if (!(await supervisor.killOutright(pid, `guest=${name}`))) return false;
  mark('qemu.killed', { pid });
  return true;
}

/** How libvirt names the PID file of a virtiofsd, and an argument that it gives it. */
const VIRTIOFSD_PID = '-fs.pid';
const VIRTIOFSD_ARGUMENT = '--shared-dir';

function serversIn(directory: string, prefix: string): string[] {
  return valueOr(() => readdirSync(directory), [])
    .filter((file) => file.startsWith(prefix) && file.endsWith(VIRTIOFSD_PID))
    .map((file) => join(directory, file));
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
