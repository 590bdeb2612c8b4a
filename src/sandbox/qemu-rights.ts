/** As whom a machine's QEMU runs, how it gets its disks, and what confines it. */
import type { Emulator } from '../domain/machine.js';
import { letRead, type RootReaders } from '../oci/store/readers.js';
import { GivenDisks } from './devices/given-disks.js';
import type { Confinement } from './devices/machine-options.js';
import { type OwnDisks, ownDisks } from './devices/own-disks.js';
import { confineQemu, gapsOfWall, makeOwnerWall, sandboxRules } from './devices/qemu-wall.js';
import { viewPoint } from './devices/root-view.js';
import type { PreparedMachine } from './prepare/prepared.js';
import { givesToItsUser, type QemuUser, qemuUser } from './state/qemu-user.js';
import type { Observers } from './types.js';

export class QemuRights {
  /** Undefined: QEMU is not ours to give a user. */
  readonly user: QemuUser | undefined;
  /** Undefined: QEMU has no disks, or finds them where the user does. */
  readonly ownDisks: OwnDisks | undefined;
  /** Undefined: libvirt gives none away. */
  readonly givenDisks: GivenDisks | undefined;
  readonly #prepared: PreparedMachine;
  readonly #stateDirectory: string;
  /** Undefined: QEMU has no rules. */
  #emulator: Emulator | undefined;

  /** @param sharesUser QEMU has the user of other sandboxes too, to which libvirt gives the disks */
  constructor(prepared: PreparedMachine, stateDirectory: string, sharesUser: boolean) {
    const { acceleration, connection, devices } = prepared;
    this.#prepared = prepared;
    this.#stateDirectory = stateDirectory;
    this.user = qemuUser(stateDirectory, connection.kind, { acceleration, isShared: sharesUser });
    this.ownDisks = this.user && !sharesUser ? disksOf(prepared, this.user) : undefined;
    this.givenDisks = this.user?.isShared ? new GivenDisks(devices.disks) : undefined;
  }

  /**
   * Writes the rules of QEMU, and lets it read the root of an image. Says where it has no rules, or less.
   * @throws {SandboxError} `not-built`, `state-not-writable`, `qemu-not-confined`, `store-not-writable`
   */
  confine(options: Pick<Observers, 'onChoice' | 'onWarning'>): Confinement {
    this.#emulator = this.#makeWall(options);
    const givesDisks = this.user === undefined && givesToItsUser(this.#prepared.connection.kind);
    const readers = this.#readers(givesDisks);
    if (readers !== undefined)
      for (const { source, keepsOwner } of this.#prepared.devices.disks) if (keepsOwner) letRead(source, readers);
    return { user: this.user, givesDisks, emulator: this.#emulator };
  }

  /** Whom disks have to be open to that keep their owner; undefined: QEMU is the owner, or finds them as its own. */
  #readers(givesDisks: boolean): RootReaders | undefined {
    // Nobody here knows whom libvirt runs QEMU as.
    if (givesDisks) return 'all';
    return this.user?.isShared ? this.user.gid : undefined;
  }

  #makeWall(options: Pick<Observers, 'onChoice' | 'onWarning'>): Emulator | undefined {
    if (this.ownDisks !== undefined) return makeOwnerWall(this.#stateDirectory);
    const { connection, profile, devices } = this.#prepared;
    const wall = { stateDirectory: this.#stateDirectory, rules: () => sandboxRules(this.#prepared) };
    return confineQemu({ connection, profile, disks: devices.disks }, wall, options);
  }

  /**
   * What the kernel leaves QEMU in spite of its rules; undefined: nothing. Call it when QEMU is connected, and before a
   * program runs that could take it over.
   * @throws {SandboxError} `qemu-not-confined`
   */
  gaps(): string | undefined {
    return this.#emulator && this.ownDisks === undefined ? gapsOfWall(this.#stateDirectory) : undefined;
  }
}

function disksOf({ name, connection, devices }: PreparedMachine, { uid }: QemuUser): OwnDisks | undefined {
  const point = viewPoint(name, connection.kind);
  return devices.disks.length === 0 || point === undefined ? undefined : ownDisks(devices.disks, point, uid);
}
