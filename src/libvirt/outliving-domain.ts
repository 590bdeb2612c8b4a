/**
 * A domain that libvirt does not end with the connection. The supervisor ends it if this process is killed, from before
 * libvirt is asked to start it.
 */
import type { DaemonKind } from './connection.js';
import { containerPidFile, expectContainer, killContainerAtLast } from './container-process.js';
import { daemonPidFile, expectQemu, killQemuAtLast, readPid } from './qemu-process.js';
import type { Supervisor } from './supervisor.js';

type Orders = Pick<Supervisor, 'expect' | 'killAtLast'>;

export class OutlivingDomain {
  readonly #kind: DaemonKind;
  readonly #name: string;
  readonly #pidFile: string;
  /** What the PID file has named before. */
  #other: number | undefined;

  constructor(kind: DaemonKind, name: string) {
    this.#kind = kind;
    this.#name = name;
    this.#pidFile = kind === 'lxc' ? containerPidFile(name) : daemonPidFile(kind, name);
  }

  /** libvirt is about to start it. */
  async expect(supervisor: Orders): Promise<void> {
    this.#other = await readPid(this.#pidFile);
    if (this.#kind === 'lxc') expectContainer(supervisor, this.#name, this.#other);
    else expectQemu(supervisor, this.#pidFile, this.#name, this.#other);
  }

  /** libvirt has started it. @param id its ID: of a container that is the controller's process ID */
  async started(supervisor: Orders, id: number): Promise<void> {
    this.#killAtLast(supervisor, this.#kind === 'lxc' ? id : await readPid(this.#pidFile));
  }

  /** @param isLost libvirt has not answered: it may have started it */
  async failed(supervisor: Orders, isLost: boolean): Promise<void> {
    const pid = isLost ? await readPid(this.#pidFile) : undefined;
    this.#killAtLast(supervisor, pid === this.#other ? undefined : pid);
  }

  #killAtLast(supervisor: Orders, pid = 0): void {
    if (this.#kind === 'lxc') killContainerAtLast(supervisor, pid, this.#name);
    else killQemuAtLast(supervisor, pid, this.#name);
  }
}
