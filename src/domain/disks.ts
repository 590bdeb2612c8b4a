/**
 * The XML of disks.
 *
 * https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
 */
import { MODERN } from './virtio.js';
import { type Element, EMPTY } from './xml.js';

export interface DiskDevice {
  /** virtio's serial number, at most 20 bytes. The guest finds the disk by it. */
  readonly serial: string;
  readonly source: string;
  /** The source is a block device of the host, not a file. */
  readonly isBlock: boolean;
  /** A QEMU block format. */
  readonly format: string;
  readonly readOnly: boolean;
  /** QEMU's user may read it, and it is others' too, so libvirt must not give it away. Default: false. */
  readonly keepsOwner?: boolean | undefined;
  /** An `iotune` element. */
  readonly iotune?: Element | undefined;
}

/** How QEMU has the disks. */
export interface DiskHandling {
  /**
   * The user to whom libvirt gives the disks, without QEMU's group, which others have too; undefined: as the domain's
   * labels say.
   */
  readonly owner?: number | undefined;
  /** Without an owner: libvirt gives the disks to whom its daemon runs QEMU as. Default: false. */
  readonly areGiven?: boolean | undefined;
  /** The threads that serve the disks in turn; 0: QEMU's main thread does. */
  readonly ioThreads?: number | undefined;
}

/** The `disk` elements of a machine, without addresses. */
export function diskElements(
  disks: readonly DiskDevice[],
  { owner, areGiven, ioThreads = 0 }: DiskHandling = {},
): Element[] {
  return disks.map(({ serial, source, isBlock, format, readOnly, keepsOwner = false, iotune }, index) => ({
    '@type': isBlock ? 'block' : 'file',
    '@device': 'disk',
    '@model': MODERN,
    driver: { '@name': 'qemu', '@type': format, ...service(readOnly), ...ioThread(index, ioThreads) },
    source: { [isBlock ? '@dev' : '@file']: source, ...ownership(keepsOwner, owner, areGiven) },
    target: { '@dev': diskName('vd', index), '@bus': 'virtio' },
    iotune,
    readonly: readOnly ? EMPTY : undefined,
    serial,
  }));
}

/** Whom libvirt gives a disk to. */
function ownership(keepsOwner: boolean, owner: number | undefined, areGiven = owner !== undefined): Element {
  // libvirt refuses a label of a disk where the domain's labels have it give nothing away.
  if (keepsOwner && areGiven) return { seclabel: { '@model': 'dac', '@relabel': 'no' } };
  if (owner === undefined) return {};
  return { seclabel: { '@model': 'dac', '@relabel': 'yes', label: `+${owner}:+0` } };
}

/**
 * How QEMU serves a disk: through the host's page cache, by threads. Reading is quickest so, and QEMU needs no io_uring,
 * which init/qemu-wall/calls.c refuses (docs/decisions/0046-disks.md). QEMU's own policy for a write that finds no
 * space pauses the machine, and nobody would ever let it go on: so the guest sees the error. What the guest discards is
 * freed on the host.
 */
function service(readOnly: boolean): Element {
  return {
    ...{ '@cache': 'writeback', '@io': 'threads', '@error_policy': 'report' },
    ...(readOnly ? {} : { '@discard': 'unmap' }),
  };
}

/** libvirt counts I/O threads from 1. */
function ioThread(index: number, ioThreads: number): Element {
  return ioThreads === 0 ? {} : { '@iothread': (index % ioThreads) + 1 };
}

/**
 * The `disk` elements of a container. libvirt makes a block device of every file: a loop device of a raw one, a network
 * block device of any other.
 */
export function containerDiskElements(disks: readonly DiskDevice[]): Element[] {
  return disks.map(({ source, isBlock, format, readOnly, iotune }, index) => ({
    '@type': isBlock ? 'block' : 'file',
    '@device': 'disk',
    driver: isBlock ? undefined : { '@name': format === 'raw' ? 'loop' : 'nbd', '@type': format },
    source: { [isBlock ? '@dev' : '@file']: source },
    target: { '@dev': diskName('sd', index) },
    iotune,
    readonly: readOnly ? EMPTY : undefined,
  }));
}

/** The path of each disk in a container, by serial number. */
export function containerDevices(disks: readonly DiskDevice[]): Record<string, string> {
  return Object.fromEntries(disks.map(({ serial }, index) => [serial, `/dev/${diskName('sd', index)}`]));
}

/** vda to vdz, then vdaa, and so on. */
export function diskName(prefix: 'vd' | 'sd', index: number): string {
  let letters = '';
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode('a'.charCodeAt(0) + (rest % 26)) + letters;
  }
  return `${prefix}${letters}`;
}
