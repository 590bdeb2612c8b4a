/** What holds a container together on the host: libvirt's controller, its one child, which is process 1 inside, and their files. */
import { readFile, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import type { Supervisor } from './supervisor.js';

/** Where libvirt has the sockets and the mount points of containers: its own constant. */
const RUN_DIRECTORY = '/run/libvirt/lxc';

/**
 * Kills a container outright. libvirt asks every process of it to end, and looks every 200 ms whether it has; even of a container whose init
 * has ended it still finds the controller. When both are gone before it looks, it waits for nothing.
 * @param controller its process ID, which libvirt gives for the domain's
 * @param name the domain's name, which the controller's command line must hold: the process may have ended, and its ID be another's
 * @returns false when that process is not there or not ours to kill
 */
export async function killContainer(supervisor: Supervisor, controller: number, name: string): Promise<boolean> {
  try {
    const argv = (await readFile(`/proc/${controller}/cmdline`, 'utf8')).split('\0');
    if (argv[argv.indexOf('--name') + 1] !== name) return false;
    const children = await readFile(`/proc/${controller}/task/${controller}/children`, 'utf8');
    // With its process 1 the kernel ends all of the container's.
    for (const pid of children.trim().split(' ').map(Number)) if (pid > 1) process.kill(pid, 'SIGKILL');
    if (!(await supervisor.killOutright(controller, name))) return false;
    mark('container.killed', { controller });
    return true;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

/** Removes the empty directories, and of a container that was killed the socket, which libvirt leaves there for ever. */
export async function removeContainerFiles(name: string): Promise<void> {
  const path = (suffix: string) => join(RUN_DIRECTORY, `${name}.${suffix}`);
  // Whatever is not there, or in use after all, is left as it is.
  await Promise.allSettled([...['dev', 'devpts', 'fuse'].map((suffix) => rmdir(path(suffix))), unlink(path('sock'))]);
}
