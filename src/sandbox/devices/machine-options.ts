/** Turns a sandbox into the XML of a virtual machine. src/domain/ has the XML of each kind of device. */
import { join } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import type { SandboxConfig } from '../../config/types.js';
import { kernelCommandLine } from '../../domain/cmdline.js';
import { diskElements } from '../../domain/disks.js';
import { machineInterfaces } from '../../domain/interfaces.js';
import { type Emulator, type MachineOptions, machineXml } from '../../domain/machine.js';
import { monitorArguments } from '../../domain/monitor.js';
import { processorArguments } from '../../domain/processors.js';
import { ownerLabel, uuidForLabels } from '../../domain/security.js';
import { isVirtiofs } from '../../domain/shares.js';
import { restoredMachineArguments, savedMachineArguments, sharingMachineArguments } from '../../domain/snapshot.js';
import { machineTuning, numaCells } from '../../domain/tuning.js';
import type { Element } from '../../domain/xml.js';
import type { BootImage } from '../../image/resolve.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../image/snapshot/record.js';
import type { Profile } from '../../profile/types.js';
import type { QemuUser } from '../state/qemu-user.js';
import { stateBase } from '../state/state-directory.js';
import type { LaunchOptions } from '../types.js';
import { type ContainerParts, containerDomainXml } from './container-options.js';
import type { Devices } from './devices.js';
import { hugePageSize } from './huge-page-size.js';
import { withSockets } from './root-server.js';
import { shellElements } from './shell.js';
import { type SlottedDevices, sharesMemory } from './slots.js';

/** A snapshot to restore, and the slots that the sandbox's devices go into. */
export type SlottedSnapshot = Snapshot & { readonly slotted: SlottedDevices };

/** A machine that boots to be saved with its root and programs, and the slots that its devices go into. */
export interface SavingMachine {
  /** Where its memory and state are kept. */
  readonly directory: string;
  readonly slots: Slots;
  readonly slotted: SlottedDevices;
  readonly commandLine: string;
  /** Makes the files that QEMU writes to. */
  readonly makeFiles: (user: QemuUser | undefined) => Promise<void>;
}

/** What the XML of a machine is made of, besides the config. */
export interface MachineParts {
  readonly platform: 'machine';
  readonly name: string;
  readonly image: Pick<BootImage, 'kernel' | 'initrd'>;
  readonly acceleration: 'kvm' | 'tcg';
  readonly profile: Profile;
  readonly devices: Devices;
  /** `seclabel` elements. */
  readonly securityLabels: readonly Element[];
  /** Undefined: the machine boots. */
  readonly snapshot: SlottedSnapshot | undefined;
  /** Undefined: it is not saved. */
  readonly saving?: SavingMachine | undefined;
}

/** What confines QEMU on the host. Empty for a sandbox that is not going to be started. */
export interface Confinement {
  /** That QEMU runs as; undefined: libvirt decides. */
  readonly user?: QemuUser | undefined;
  /** Without a user: libvirt gives the disks to its own. */
  readonly givesDisks?: boolean | undefined;
  /** Undefined: the QEMU that libvirt finds. */
  readonly emulator?: Emulator | undefined;
}

/**
 * The domain's XML.
 * @param sockets path of the state directory for sockets; default: as if it needed no alias
 */
export function domainXml(
  config: SandboxConfig,
  parts: MachineParts | ContainerParts,
  options: Pick<LaunchOptions, 'debugInit'>,
  sockets = join(stateBase(), parts.name),
  { user, givesDisks, emulator }: Confinement = {},
): string {
  if (parts.platform === 'container') return containerDomainXml(config, parts, options);
  const { name, image, acceleration, profile, devices, securityLabels, snapshot, saving } = parts;
  const shell = devices.shell && shellElements(devices.shell, sockets);
  const channelSocket = join(sockets, 'channel');
  const machine: MachineOptions = {
    name,
    uuid: config.uuid ?? uuidForLabels(securityLabels),
    memory: config.memory,
    vcpus: config.vcpus,
    acceleration,
    nestedKvm: config.nestedKvm,
    kernel: image.kernel,
    initrd: image.initrd,
    commandLine: kernelCommandLine(profile, {
      debug: options.debugInit ?? false,
      console: shell?.log,
      writtenBehindEmulator: acceleration === 'tcg' && devices.shares.some(isVirtiofs),
      processors: processorArguments(config.vcpus, acceleration),
    }),
    tuning: profile.machine,
    qemuArguments: [...(profile.qemuArguments ?? []), ...monitorArguments(channelSocket)],
    shares: withSockets(devices.shares, sockets),
    disks: diskElements(devices.disks, {
      owner: user?.isShared ? user.uid : undefined,
      areGiven: givesDisks || undefined,
      ioThreads: config.tuning.ioThreads,
    }),
    interfaces: machineInterfaces(devices.interfaces),
    screen: devices.screen,
    hasSound: devices.hasSound,
    securityLabels: [...securityLabels, ...(user ? [ownerLabel(user, user.isShared)] : [])],
    tuned: machineTuning(config.tuning, config.vcpus),
    numaCells: numaCells(config.tuning, config.memory),
    hugePages: hugePageSize(config.tuning.hugePages),
    ioThreads: config.tuning.ioThreads,
    ...(shell ? { serials: shell.serials, channels: shell.channels } : {}),
    channelSocket,
    consoleSocket: join(sockets, 'console'),
    emulator,
  };
  if (saving) return machineXml(saved(machine, saving));
  return machineXml(snapshot ? restored(machine, snapshot, sockets) : machine);
}

/** The same machine, with memory that is kept. */
function saved(machine: MachineOptions, { directory, slots, slotted, commandLine }: SavingMachine): MachineOptions {
  const memory = savedMachineArguments({ path: join(directory, SNAPSHOT_MEMORY), size: machine.memory });
  return {
    ...machine,
    commandLine,
    ownMemory: true,
    shares: slotted.shares,
    slots,
    qemuArguments: [...machine.qemuArguments, ...memory],
  };
}

/** The same machine, restored from a snapshot. */
function restored(
  machine: MachineOptions,
  { directory, record, slotted }: SlottedSnapshot,
  sockets: string,
): MachineOptions {
  const shares = withSockets(slotted.shares, sockets);
  const lateShares = withSockets(slotted.lateShares, sockets);
  const memory = sharesMemory(slotted)
    ? sharingMachineArguments(machine.memory)
    : restoredMachineArguments({ path: join(directory, SNAPSHOT_MEMORY), size: machine.memory });
  return {
    ...machine,
    // The saved memory has them.
    kernel: undefined,
    initrd: undefined,
    commandLine: undefined,
    ownMemory: true,
    shares,
    lateShares,
    slots: record.slots,
    qemuArguments: [...machine.qemuArguments, ...memory],
  };
}
