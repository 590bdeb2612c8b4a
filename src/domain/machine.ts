/**
 * The XML of a virtual machine.
 *
 * https://libvirt.org/formatdomain.html
 */
import { existsSync } from 'node:fs';
import type { MachineTuning } from '../profile/types.js';
import { CHANNEL_NAME } from '../protocol/wire.js';
import { type MachineInterface, streamArguments } from './interfaces.js';
import { type Screen, screenElements } from './screen.js';
import { memoryBacking, type Share, shareElement } from './shares.js';
import { type DeviceAddresses, deviceAddresses, type Slots, vacantArguments } from './slots.js';
import { soundElements } from './sound.js';
import type { TuningElements } from './tuning.js';
import { MODERN } from './virtio.js';
import { type Element, EMPTY, toXml } from './xml.js';

/** What libvirt starts as QEMU, in place of the QEMU that it finds. */
export interface Emulator {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface MachineOptions {
  readonly name: string;
  readonly uuid: string | undefined;
  /** In bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: 'kvm' | 'tcg';
  /** The guest may run machines under KVM itself. */
  readonly nestedKvm?: boolean;
  /** Absolute paths. These three are undefined for a machine that is restored from a snapshot. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly commandLine: string | undefined;
  readonly tuning: MachineTuning;
  /** Passed to QEMU as they are. */
  readonly qemuArguments: readonly string[];
  readonly shares: readonly Share[];
  /** QEMU's arguments define the memory. */
  readonly ownMemory?: boolean;
  /** Shares of a restored machine that it did not have when it was saved. The guest must rescan the bus for them. */
  readonly lateShares?: readonly Share[];
  /** `disk` elements from disks.ts; addresses are added here. */
  readonly disks?: readonly Element[];
  /** From interfaces.ts; addresses are added here. */
  readonly interfaces?: readonly MachineInterface[];
  /** Slots of a snapshot: disks and interfaces take the first of each kind. Undefined: no more than are taken. */
  readonly slots?: Slots | undefined;
  /** Undefined: none. */
  readonly screen?: Screen | undefined;
  /** A sound card. Undefined: none. */
  readonly hasSound?: boolean | undefined;
  /** `seclabel` elements. */
  readonly securityLabels?: readonly Element[];
  readonly tuned?: TuningElements | undefined;
  /** `cell` elements of its nodes. */
  readonly numaCells?: readonly Element[];
  /** In bytes; undefined: ordinary pages. */
  readonly hugePages?: number | undefined;
  readonly ioThreads?: number | undefined;
  /** `serial` elements before the log's, from port 0 on. `virsh console` connects to the first. */
  readonly serials?: readonly Element[];
  /** `channel` elements beside the sandbox's own. */
  readonly channels?: readonly Element[];
  /** Sockets that the launcher listens on. QEMU connects before the machine runs, so no byte is missed. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
  readonly emulator?: Emulator | undefined;
}

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** The domain, ready for virDomainCreateXML. */
export function machineXml(options: MachineOptions): string {
  const lean = options.tuning.legacy === 'absent';
  return toXml({
    domain: {
      '@type': options.acceleration === 'kvm' ? 'kvm' : 'qemu',
      '@xmlns:qemu': QEMU_NAMESPACE,
      name: options.name,
      uuid: options.uuid,
      memory: { '@unit': 'KiB', '#': Math.ceil(options.memory / 1024) },
      memoryBacking: memoryBacking([...options.shares, ...(options.lateShares ?? [])], {
        own: options.ownMemory,
        hugePages: options.hugePages,
      }),
      vcpu: options.vcpus,
      iothreads: options.ioThreads,
      ...options.tuned,
      os: {
        type: { '@arch': 'x86_64', '@machine': 'q35', '#': 'hvm' },
        loader: options.tuning.firmware === 'qboot' ? qboot() : undefined,
        kernel: options.kernel,
        initrd: options.initrd,
        cmdline: options.commandLine,
      },
      // Firmware and kernel spend time on every device, so unused ones are left out.
      features: { acpi: EMPTY, ...(lean ? { vmport: { '@state': 'off' }, smm: { '@state': 'off' } } : {}) },
      cpu: cpu(options),
      clock: { '@offset': 'utc', ...(lean ? { timer: [{ '@name': 'hpet', '@present': 'no' }] } : {}) },
      on_poweroff: 'destroy',
      on_reboot: 'destroy',
      on_crash: 'destroy',
      devices: devices(options),
      seclabel: options.securityLabels,
      'qemu:commandline': commandLine(
        [...options.qemuArguments, ...streams(options), ...vacantSlots(options)],
        options.emulator?.environment,
      ),
      'qemu:capabilities': capabilities(options),
    },
  });
}

/**
 * qboot does only what starting a kernel takes, and is faster than SeaBIOS (docs/decisions/0007-machine-shape.md). QEMU
 * ships it for its microvm machine. If it is missing, libvirt's default firmware is used.
 */
function qboot(): Element | undefined {
  const path = '/usr/share/qemu/qboot.rom';
  return existsSync(path) ? { '@readonly': 'yes', '@type': 'rom', '#': path } : undefined;
}

/**
 * All features of the host's CPU, or of the emulator, since the host's programs may be compiled for its CPU; but none
 * to run machines with, and none that makes an emulated one slower.
 */
function cpu({ acceleration, nestedKvm = false, numaCells = [] }: MachineOptions): Element {
  const without = [...(acceleration === 'kvm' ? [] : SLOW_WHEN_EMULATED), ...(nestedKvm ? [] : VIRTUALIZATION)];
  return {
    '@mode': acceleration === 'kvm' ? 'host-passthrough' : 'maximum',
    '@check': 'none',
    feature: without.map((name) => ({ '@policy': 'disable', '@name': name })),
    numa: numaCells.length === 0 ? undefined : { cell: numaCells },
  };
}

/** Features that KVM in the guest needs: AMD's and Intel's. */
const VIRTUALIZATION = ['svm', 'vmx'];

/** Features that programs and the kernel use to be fast, and that are slow under TCG. */
const SLOW_WHEN_EMULATED = [
  // They tell the kernel to copy with string instructions, which TCG emulates byte by byte: a guest writes twice as fast
  // without them.
  ...['erms', 'fsrm', 'fsrs', 'fzrm'],
  // Each change of the rights of a protection key drops all addresses that TCG has translated. V8 has such a key, and
  // `npm ci` takes a sixth less without (docs/decisions/0058-rows-that-missed.md).
  'pku',
];

function addressesOf(options: MachineOptions): DeviceAddresses {
  const { shares, lateShares = [], disks = [], interfaces = [], slots, screen, hasSound } = options;
  const others = { lateShares: lateShares.length, hasScreen: screen !== undefined, hasSound };
  return deviceAddresses(shares.length, slots ?? { disks: disks.length, networks: interfaces.length }, others);
}

/** Interfaces that libvirt does not know of. */
function streams(options: MachineOptions): string[] {
  const { networks } = addressesOf(options);
  return (options.interfaces ?? []).flatMap((entry, number) => {
    const address = networks[number];
    if ('element' in entry || address === undefined) return [];
    return streamArguments(number, entry.mac, options.channelSocket, address);
  });
}

function vacantSlots(options: MachineOptions): string[] {
  const { disks, networks } = addressesOf(options);
  return vacantArguments(disks.slice(options.disks?.length ?? 0), networks.slice(options.interfaces?.length ?? 0));
}

/**
 * How many ports the virtio-serial device may have. The guest sets up two queues for each, by some twenty accesses that
 * exit to QEMU; QEMU's default is 31 ports. Number 0 is for a console, and ours are counted from 1.
 */
function serialPorts(others: number): number {
  return 2 + others;
}

function devices(options: MachineOptions): Element {
  const { shares, lateShares = [], disks = [], interfaces = [], serials = [], channels = [] } = options;
  const addresses = addressesOf(options);
  const isFlat = options.tuning.bus === 'root';
  /** libvirt does not know of empty slots and of what passt serves, so the devices beside them need addresses. */
  const isPlaced = isFlat || options.slots !== undefined || interfaces.some((entry) => !('element' in entry));
  const screen = options.screen && screenElements(options.screen, isPlaced ? addresses.screen : undefined);
  return {
    emulator: options.emulator?.path,
    controller: [
      { '@type': 'usb', '@model': 'none' },
      {
        ...{ '@type': 'virtio-serial', '@index': 0, '@model': MODERN, '@ports': serialPorts(channels.length) },
        address: isFlat ? addresses.serial : undefined,
      },
    ],
    filesystem: [
      ...shares.map((entry, at) => ({ ...shareElement(entry), address: isFlat ? addresses.shares[at] : undefined })),
      ...lateShares.map((entry, at) => ({ ...shareElement(entry), address: addresses.lateShares[at] })),
    ],
    disk: disks.map((entry, at) => ({ ...entry, address: isPlaced ? addresses.disks[at] : undefined })),
    interface: interfaces.flatMap((entry, at) =>
      'element' in entry ? [{ ...entry.element, address: isPlaced ? addresses.networks[at] : undefined }] : [],
    ),
    ...screen,
    ...(options.hasSound ? soundElements(screen, isPlaced ? addresses.sound[0] : undefined) : {}),
    memballoon: { '@model': 'none' },
    serial: [
      ...serials,
      {
        '@type': 'unix',
        source: { '@mode': 'connect', '@path': options.consoleSocket },
        target: { '@port': serials.length },
      },
    ],
    channel: [
      {
        '@type': 'unix',
        source: { '@mode': 'connect', '@path': options.channelSocket },
        target: { '@type': 'virtio', '@name': CHANNEL_NAME },
      },
      ...channels,
    ],
  };
}

function commandLine(words: readonly string[], environment: Emulator['environment'] = {}): Element | undefined {
  const variables = Object.entries(environment);
  if (words.length === 0 && variables.length === 0) return undefined;
  return {
    'qemu:arg': words.map((word) => ({ '@value': word })),
    'qemu:env': variables.map(([name, value]) => ({ '@name': name, '@value': value })),
  };
}

/** https://libvirt.org/drvqemu.html#experimenting-with-qemu-capabilities */
function capabilities({ emulator, hugePages, tuned }: MachineOptions): Element {
  const without = [
    // With it libvirt asks QEMU for some 460 CPU properties one by one before it starts the machine, to describe a CPU
    // model that is not needed. Without it, libvirt reads them in two calls.
    'cpu-unavailable-features',
    // With it a thread on the CPUs of a node fills huge pages of that node. What confines QEMU refuses to give a thread
    // CPUs (init/qemu-wall/calls.c). Without it any thread fills them.
    ...(emulator && hugePages !== undefined && tuned?.numatune ? ['thread-context'] : []),
  ];
  return { 'qemu:del': without.map((name) => ({ '@capability': name })) };
}
