/**
 * Slots of a saved machine for disks and networks. A device that was there when a machine was saved has to be there when it goes on, at the
 * same address. So a place is always taken: by a disk or a network of the sandbox, or by one that leads nowhere.
 */
import { type PciAddress, pciAddresses, pciName } from './pci.js';

/** How many there are of each kind. */
export interface Slots {
  readonly disks: number;
  readonly networks: number;
}

/** Where the devices of a machine are on its root bus. */
export interface DeviceAddresses {
  readonly serial: PciAddress;
  readonly shares: readonly PciAddress[];
  readonly disks: readonly PciAddress[];
  readonly networks: readonly PciAddress[];
  /** Behind all others, so that none has another address for their sake. */
  readonly lateShares: readonly PciAddress[];
}

/** @throws {SandboxError} `too-many-devices` */
export function deviceAddresses(shares: number, { disks, networks }: Slots, lateShares = 0): DeviceAddresses {
  const next = pciAddresses(1 + shares + disks + networks + lateShares);
  const several = (count: number) => Array.from({ length: count }, next);
  return {
    serial: next(),
    shares: several(shares),
    disks: several(disks),
    networks: several(networks),
    lateShares: several(lateShares),
  };
}

/** Every place by the name that Linux has for its device: `0000:00:07.0`. */
export function slotNames(
  shares: number,
  slots: Slots,
): { readonly disks: readonly string[]; readonly networks: readonly string[] } {
  const { disks, networks } = deviceAddresses(shares, slots);
  return { disks: disks.map(pciName), networks: networks.map(pciName) };
}

/**
 * QEMU's arguments for the devices of places that are left. libvirt has no network that leads nowhere, and would look after a file for every disk.
 */
export function vacantArguments(disks: readonly PciAddress[], networks: readonly PciAddress[]): string[] {
  return [
    ...disks.flatMap((address, number) => {
      const name = `vacant-disk${number}`;
      return [
        ...['-blockdev', JSON.stringify({ driver: 'null-co', 'node-name': name, size: 0 })],
        ...['-device', JSON.stringify({ driver: 'virtio-blk-pci', drive: name, ...onRootBus(address) })],
      ];
    }),
    ...networks.flatMap((address, number) => {
      const id = `vacant-network${number}`;
      return [
        ...['-netdev', JSON.stringify({ type: 'hubport', id, hubid: number })],
        // A ROM would be part of the machine's memory, and an interface of the sandbox has none.
        ...['-device', JSON.stringify({ driver: 'virtio-net-pci', netdev: id, romfile: '', ...onRootBus(address) })],
      ];
    }),
  ];
}

/** libvirt's name for the bus. */
function onRootBus(address: PciAddress): { readonly bus: string; readonly addr: string } {
  return { bus: 'pcie.0', addr: `${address['@slot']}.${address['@function']}` };
}
