/**
 * Processes and files of a container on the host. libvirt's controller process (libvirt_lxc) has one child, which is
 * process 1 in the container.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, valueOr } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { CONTAINER_FLAG } from './connection.js';
import type { Supervisor } from './supervisor.js';

/** libvirt's directory for sockets and mount points of containers, a constant in its source. */
const RUN_DIRECTORY = '/run/libvirt/lxc';

/**
 * Kills a container. libvirt's own way is to ask each process to end and to check every 200 ms. Even if the container's
 * init has ended, it still finds the controller. If both are gone before libvirt looks, it does not wait.
 *
 * A container whose init has ended by itself takes its controller with it, at any point of this function. Then nothing
 * is left to kill, and libvirt is about to notice.
 *
 * @param controller Process ID of the controller. libvirt reports it as the domain's ID.
 * @param name Name of the domain. The controller's command line must contain it, since another process may have that ID
 *   by now.
 * @returns true if the container is gone, false if it may not be killed
 */
export async function killContainer(
  supervisor: Pick<Supervisor, 'kill'>,
  controller: number,
  name: string,
): Promise<boolean> {
  if (isController(controller, name)) {
    try {
      // When process 1 dies, the kernel kills all other processes of the container.
      for (const pid of childrenOf(controller)) if (pid > 1) process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === 'EPERM') return false;
      // Else it is gone.
    }
    if (!(await supervisor.kill(controller, name)) && isController(controller, name)) return false;
  }
  mark('container.killed', { controller });
  return true;
}

/** Where libvirt writes the process ID of a container's controller. */
export function containerPidFile(name: string): string {
  return join(RUN_DIRECTORY, `${name}.pid`);
}

/** Has the supervisor kill a container that libvirt is about to start, if this process is killed. */
export function expectContainer(supervisor: Pick<Supervisor, 'expect'>, name: string, other: number | undefined): void {
  supervisor.expect('expect-parent', name, containerPidFile(name), other);
}

/**
 * Has the supervisor kill a container if this process is killed: its process 1, and then its controller.
 * @param controller 0: there is none
 */
export function killContainerAtLast(
  supervisor: Pick<Supervisor, 'killAtLast'>,
  controller: number,
  name: string,
): void {
  for (const pid of valueOr(() => childrenOf(controller), [])) {
    const program = wordsOf(pid)[0] ?? '';
    if (pid > 1 && program !== '') supervisor.killAtLast(pid, program);
  }
  supervisor.killAtLast(controller, name);
}

/** What a state directory says of its container (init/supervisor/note.h). */
export type ContainerNote =
  /** libvirt is asked to start it. */
  | { readonly other: number | undefined }
  | { readonly controller: number }
  /** There is none. */
  | undefined;

/**
 * Notes it, for who removes the state directory when this process and the supervisor were killed.
 * @throws a system error; then it says what it said before
 */
export function noteContainer(stateDirectory: string, note: ContainerNote): void {
  const path = join(stateDirectory, CONTAINER_FLAG);
  writeFileSync(`${path}.new`, textOf(note));
  renameSync(`${path}.new`, path);
}

function textOf(note: ContainerNote): string {
  if (note === undefined) return '';
  return 'controller' in note ? `${note.controller}\n` : `0 ${note.other ?? 0}\n`;
}

/** A process that has ended, reaped or not, has no command line. */
function isController(pid: number, name: string): boolean {
  const argv = wordsOf(pid);
  return argv[argv.indexOf('--name') + 1] === name;
}

function wordsOf(pid: number): string[] {
  return valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'), []);
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

/** Removes the empty directories, and the socket of a killed container, which libvirt never removes. */
export async function removeContainerFiles(name: string): Promise<void> {
  const path = (suffix: string) => join(RUN_DIRECTORY, `${name}.${suffix}`);
  // Ignores errors: what is missing or still in use is left alone.
  await Promise.allSettled([...['dev', 'devpts', 'fuse'].map((suffix) => rmdir(path(suffix))), unlink(path('sock'))]);
}
