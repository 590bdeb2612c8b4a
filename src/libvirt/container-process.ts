/**
 * Processes and files of a container on the host. libvirt's controller process (libvirt_lxc) has one child, which is
 * process 1 in the container.
 */
import { readFile, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import type { Supervisor } from './supervisor.js';

/** libvirt's directory for sockets and mount points of containers, a constant in its source. */
const RUN_DIRECTORY = '/run/libvirt/lxc';

/**
 * Kills a container. libvirt's own way is to ask each process to end and to check every 200 ms. Even if the container's
 * init has ended, it still finds the controller. If both are gone before libvirt looks, it does not wait.
 *
 * @param controller Process ID of the controller. libvirt reports it as the domain's ID.
 * @param name Name of the domain. The controller's command line must contain it, since another process may have that ID
 *   by now.
 * @returns false if the process does not exist, or may not be killed
 */
export async function killContainer(supervisor: Supervisor, controller: number, name: string): Promise<boolean> {
  try {
    const argv = (await readFile(`/proc/${controller}/cmdline`, 'utf8')).split('\0');
    if (argv[argv.indexOf('--name') + 1] !== name) return false;
    const children = await readFile(`/proc/${controller}/task/${controller}/children`, 'utf8');
    // When process 1 dies, the kernel kills all other processes of the container.
    for (const pid of children.trim().split(' ').map(Number)) if (pid > 1) process.kill(pid, 'SIGKILL');
    if (!(await supervisor.kill(controller, name))) return false;
    mark('container.killed', { controller });
    return true;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

/** Removes the empty directories, and the socket of a killed container, which libvirt never removes. */
export async function removeContainerFiles(name: string): Promise<void> {
  const path = (suffix: string) => join(RUN_DIRECTORY, `${name}.${suffix}`);
  // Ignores errors: what is missing or still in use is left alone.
  await Promise.allSettled([...['dev', 'devpts', 'fuse'].map((suffix) => rmdir(path(suffix))), unlink(path('sock'))]);
}
