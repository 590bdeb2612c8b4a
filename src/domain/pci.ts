/**
 * Addresses of devices on the root bus of a q35 machine. libvirt would give each device a PCIe port of its own, so that it can be unplugged, and
 * the kernel takes time to set each up.
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

/** Slot 0 is the host bridge, 30 libvirt's to use, 31 the chipset. */
const FIRST_SLOT = 1;
/** So many devices have a slot each. */
export const SLOTS = 29;

/**
 * Eight functions in each slot would be 232 addresses, but a processor has some 200 interrupt vectors for devices, of which a virtio device takes
 * two or three: with more than 110 devices Linux leaves out those that come last.
 */
export const MOST_PCI_DEVICES = 100;

/**
 * One address after the other, for `count` devices: a slot each, and where slots do not suffice up to eight functions of one.
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
      // The guest looks for further functions only where the first says that there are some.
      '@multifunction': index === 0 && slot + SLOTS < count ? 'on' : undefined,
    };
  };
}

/** As Linux calls the device there. */
export function pciName(address: PciAddress): string {
  const [domain, bus, slot, index] = [address['@domain'], address['@bus'], address['@slot'], address['@function']].map(
    (number) => number.replace('0x', ''),
  );
  return `${domain}:${bus}:${slot}.${index}`;
}
