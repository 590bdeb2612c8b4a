/**
 * A sandbox as a virtual machine of libvirt.
 *
 * https://libvirt.org/formatdomain.html
 */
import { existsSync } from 'node:fs';
import { CHANNEL_NAME } from '../guest/wire.js';
import { type Element, EMPTY, toXml } from './xml.js';

/** A directory of the host that the machine sees. */
export interface Share {
  /** 9p mount tag; at most 31 characters. */
  readonly tag: string;
  readonly directory: string;
  readonly readOnly: boolean;
  /** passthrough: files have the owner that they have on the host, which takes a QEMU that runs as root. */
  readonly access: 'passthrough' | 'squash';
}

export interface MachineOptions {
  readonly name: string;
  readonly uuid: string | undefined;
  /** In bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: 'kvm' | 'tcg';
  /** Absolute path of the kernel image, and so on. */
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  readonly shares: readonly Share[];
  /** Paths of the sockets on which the launcher listens; QEMU connects before the machine starts, so not a byte is missed. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
}

const QEMU_NAMESPACE = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** The domain, ready for virDomainCreateXML. */
export function machineXml(options: MachineOptions): string {
  return toXml({
    domain: {
      '@type': options.acceleration === 'kvm' ? 'kvm' : 'qemu',
      '@xmlns:qemu': QEMU_NAMESPACE,
      name: options.name,
      uuid: options.uuid,
      memory: { '@unit': 'KiB', '#': Math.ceil(options.memory / 1024) },
      vcpu: options.vcpus,
      os: {
        type: { '@arch': 'x86_64', '@machine': 'q35', '#': 'hvm' },
        loader: firmware(),
        kernel: options.kernel,
        initrd: options.initrd,
        cmdline: options.commandLine,
      },
      // Firmware and kernel set up what is there, so what nobody uses is not there.
      features: { acpi: EMPTY, vmport: { '@state': 'off' }, smm: { '@state': 'off' } },
      cpu: cpu(options.acceleration),
      clock: { '@offset': 'utc', timer: [{ '@name': 'hpet', '@present': 'no' }] },
      on_poweroff: 'destroy',
      on_reboot: 'destroy',
      on_crash: 'destroy',
      devices: devices(options),
      'qemu:capabilities': capabilities(),
    },
  });
}

/**
 * qboot does just what starting a kernel takes, and does it sooner than SeaBIOS (docs/architecture.md). QEMU brings it for its microvm machine; where it does not,
 * libvirt's usual firmware serves.
 */
function firmware(): Element | undefined {
  const path = '/usr/share/qemu/qboot.rom';
  return existsSync(path) ? { '@readonly': 'yes', '@type': 'rom', '#': path } : undefined;
}

/** Everything that this host, or the emulator, can do: programs of the host are compiled for its CPU. */
function cpu(acceleration: MachineOptions['acceleration']): Element {
  if (acceleration === 'kvm') return { '@mode': 'host-passthrough', '@check': 'none' };
  return {
    '@mode': 'maximum',
    '@check': 'none',
    feature: SLOW_WHEN_EMULATED.map((name) => ({ '@policy': 'disable', '@name': name })),
  };
}

/**
 * These tell the kernel that copying with string instructions is fast. Emulated they go byte by byte: without them a guest writes twice as
 * many bytes in a second.
 */
const SLOW_WHEN_EMULATED = ['erms', 'fsrm', 'fsrs', 'fzrm'];

function devices(options: MachineOptions): Element {
  const slot = slots();
  return {
    controller: [
      { '@type': 'usb', '@model': 'none' },
      { '@type': 'virtio-serial', '@index': 0, address: slot() },
    ],
    filesystem: options.shares.map((entry) => share(entry, slot())),
    memballoon: { '@model': 'none' },
    serial: {
      '@type': 'unix',
      source: { '@mode': 'connect', '@path': options.consoleSocket },
      target: { '@port': 0 },
    },
    channel: {
      '@type': 'unix',
      source: { '@mode': 'connect', '@path': options.channelSocket },
      target: { '@type': 'virtio', '@name': CHANNEL_NAME },
    },
  };
}

/**
 * Addresses on the root bus itself. libvirt would give each device a PCIe port of its own, so that it can be unplugged, and the kernel takes
 * time to set each up. Slots 1 to 29 are free on q35 (31 is the chipset); beyond them libvirt chooses.
 */
function slots(): () => Element | undefined {
  let next = 1;
  return () => {
    const slot = next;
    next += 1;
    if (slot > 29) return undefined;
    return {
      '@type': 'pci',
      '@domain': '0x0000',
      '@bus': '0x00',
      '@slot': `0x${slot.toString(16).padStart(2, '0')}`,
      '@function': '0x0',
    };
  };
}

function share(entry: Share, address: Element | undefined): Element {
  return {
    '@type': 'mount',
    '@accessmode': entry.access,
    // Host file systems below the directory have inode numbers of their own that would collide.
    '@multidevs': 'remap',
    source: { '@dir': entry.directory },
    target: { '@dir': entry.tag },
    readonly: entry.readOnly ? EMPTY : undefined,
    address,
  };
}

/**
 * With this capability libvirt asks QEMU for each of some 460 CPU properties by itself before it starts the machine, to
 * describe a CPU model that nobody asks about. Without it, it reads them in two calls.
 * https://libvirt.org/drvqemu.html#experimenting-with-qemu-capabilities
 */
function capabilities(): Element {
  return { 'qemu:del': [{ '@capability': 'cpu-unavailable-features' }] };
}
