/**
 * PCI addresses on the root bus of a q35 machine. By default libvirt gives each device a PCIe port of its own for
 * hotplugging, and the kernel takes time to set up each port.
 */
import { SandboxError } from '../util/errors.js';

/** An `address` element. */
export interface PciAddress {
  readonly '@type': 'pci';
  readonly '@domain': string;
  readonly '@bus': string;
  readonly '@slot': string;
  readonly '@function': string;
  readonly '@multifunction': 'on' | undefined;
  readonly [name: string]: string | undefined;
}

/** Slot 0 is the host bridge, 30 is reserved for libvirt, 31 is the chipset. */
const FIRST_SLOT = 1;
/** How many devices can have a PCI slot of their own. */
export const SLOTS = 29;

/**
 * The limit. Eight functions per slot would be 232 addresses, but a CPU has some 200 interrupt vectors for devices and
 * a virtio device takes two or three: with more than 110 devices, Linux does not set up the last ones.
 */
export const MOST_PCI_DEVICES = 100;

/**
 * Gives addresses to `count` devices, one per call: a PCI slot each, then further functions of the slots, up to eight.
 * https://libvirt.org/pci-addresses.html
 * @throws {SandboxError} `too-many-devices`
 */
export function pciAddresses(count: number): () => PciAddress {
  if (count > MOST_PCI_DEVICES) {
    throw new SandboxError({
      stage: 'domain',
      code: 'too-many-devices',
      message: `a machine has room for ${MOST_PCI_DEVICES} devices, and the sandbox would have ${count}`,
      remedy: 'leave out some mounts, disks or networks',
    });
  }
  let next = 0;
  return () => {
    const slot = next % SLOTS;
    const index = Math.floor(next / SLOTS);
    next += 1;
    return {
      '@type': 'pci',
      '@domain': '0x0000',
      '@bus': '0x00',
      '@slot': `0x${(FIRST_SLOT + slot).toString(16).padStart(2, '0')}`,
      '@function': `0x${index}`,
      // The guest looks for further functions only if function 0 says so.
      '@multifunction': index === 0 && slot + SLOTS < count ? 'on' : undefined,
    };
  };
}

/** Linux's name for the device: `0000:00:07.0`. */
export function pciName(address: PciAddress): string {
  const [domain, bus, slot, index] = [address['@domain'], address['@bus'], address['@slot'], address['@function']].map(
    (number) => number.replace('0x', ''),
  );
  return `${domain}:${bus}:${slot}.${index}`;
}
