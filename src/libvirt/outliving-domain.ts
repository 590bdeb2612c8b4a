/**
 * A domain that libvirt does not end with the connection. The supervisor ends it if this process is killed, from before
 * libvirt is asked to start it.
 */
import { isSystemError, messageOf, SandboxError, valueOr } from '../util/errors.js';
import type { DaemonKind, StartContext } from './connection.js';
import {
  type ContainerNote,
  containerPidFile,
  expectContainer,
  killContainerAtLast,
  noteContainer,
} from './container-process.js';
import { daemonPidFile, expectQemu, killQemuAtLast, readPid } from './qemu-process.js';
import type { Supervisor } from './supervisor.js';

type Orders = Pick<Supervisor, 'expect' | 'killAtLast'>;

export class OutlivingDomain {
  readonly #kind: DaemonKind;
  readonly #name: string;
  readonly #stateDirectory: string;
  readonly #pidFile: string;
  /** What the PID file has named before. */
  #other: number | undefined;

  constructor(kind: DaemonKind, { name, stateDirectory }: Pick<StartContext, 'name' | 'stateDirectory'>) {
    this.#kind = kind;
    this.#name = name;
    this.#stateDirectory = stateDirectory;
    this.#pidFile = kind === 'lxc' ? containerPidFile(name) : daemonPidFile(kind, name);
  }

  /**
   * libvirt is about to start it.
   * @throws {SandboxError} `state-not-writable`
   */
  async expect(supervisor: Orders): Promise<void> {
    this.#other = await readPid(this.#pidFile);
    if (this.#kind === 'lxc') {
      this.#note({ other: this.#other });
      expectContainer(supervisor, this.#name, this.#other);
    } else expectQemu(supervisor, this.#pidFile, this.#name, this.#other);
  }

  /** libvirt has started it. @param id its ID: of a container that is the controller's process ID */
  async started(supervisor: Orders, id: number): Promise<void> {
    this.#killAtLast(supervisor, this.#kind === 'lxc' ? id : await readPid(this.#pidFile));
    // Else it is still noted that it is expected.
    valueOr(() => this.#note({ controller: id }), undefined);
  }

  /** @param isLost libvirt has not answered: it may have started it */
  async failed(supervisor: Orders, isLost: boolean): Promise<void> {
    const pid = isLost ? await readPid(this.#pidFile) : undefined;
    this.#killAtLast(supervisor, pid === this.#other ? undefined : pid);
    if (!isLost) valueOr(() => this.#note(undefined), undefined);
  }

  /** For who cleans up if the supervisor is killed, too. */
  #note(note: ContainerNote): void {
    if (this.#kind !== 'lxc') return;
    try {
      noteContainer(this.#stateDirectory, note);
    } catch (error) {
      throw new SandboxError({
        stage: 'domain',
        code: 'state-not-writable',
        message: `the state directory ${this.#stateDirectory} cannot be written: ${messageOf(error)}`,
        remedy: isSystemError(error, 'ENOSPC')
          ? 'free some space there'
          : 'see why it cannot be written, and start again',
        cause: error,
      });
    }
  }

  #killAtLast(supervisor: Orders, pid = 0): void {
    if (this.#kind === 'lxc') killContainerAtLast(supervisor, pid, this.#name);
    else killQemuAtLast(supervisor, pid, this.#name);
  }
}
