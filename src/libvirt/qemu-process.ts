/** The QEMU process behind a domain, known from the PID file that libvirt writes. */
import { readFile } from 'node:fs/promises';
import { isSystemError } from '../errors.js';
import { mark } from '../marks.js';

/**
 * Kills the QEMU of a domain outright. libvirt polls a process that it ends itself every 200 ms, but notices one that is gone at once; so
 * where the guest has nothing left to write this saves the wait.
 * @param pidFile libvirt's PID file of the domain
 * @param name the domain's name, which QEMU's command line must hold: a PID file may be stale
 * @returns false when that process is not there or not ours to kill
 */
export async function killQemu(pidFile: string, name: string): Promise<boolean> {
  try {
    const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10);
    if (!(pid > 1)) return false;
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    if (!argv.some((argument) => argument === `guest=${name},debug-threads=on` || argument === `guest=${name}`))
      return false;
    process.kill(pid, 'SIGKILL');
    mark('qemu.killed', { pid });
    return true;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}
