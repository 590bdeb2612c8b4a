/**
 * Slots of a snapshot for disks and networks. A restored machine must have the devices that it had when it was saved,
 * at the same addresses. So a slot is never empty: it has a disk or network of the sandbox, or a device that leads
 * nowhere.
 */
import { type PciAddress, pciAddresses, pciName } from './pci.js';
import { SCREEN_DEVICES } from './screen.js';
import { SOUND_DEVICES } from './sound.js';
import { modernDriver } from './virtio.js';

/** How many slots there are of each kind. */
export interface Slots {
  readonly disks: number;
  readonly networks: number;
}

/** The addresses of a machine's devices on its root bus. */
export interface DeviceAddresses {
  readonly serial: PciAddress;
  readonly shares: readonly PciAddress[];
  readonly disks: readonly PciAddress[];
  readonly networks: readonly PciAddress[];
  /** Of card, keyboard and pointer; empty: there is no screen. */
  readonly screen: readonly PciAddress[];
  /** Of the sound card; empty: there is none. */
  readonly sound: readonly PciAddress[];
  /** Behind all others, so that they change no other address. */
  readonly lateShares: readonly PciAddress[];
}

/** What a machine may have besides. */
interface OtherDevices {
  readonly lateShares?: number;
  readonly hasScreen?: boolean;
  readonly hasSound?: boolean | undefined;
}

/** @throws {SandboxError} `too-many-devices` */
export function deviceAddresses(
  shares: number,
  { disks, networks }: Slots,
  { lateShares = 0, hasScreen = false, hasSound = false }: OtherDevices = {},
): DeviceAddresses {
  const ofScreen = hasScreen ? SCREEN_DEVICES : 0;
  const ofSound = hasSound ? SOUND_DEVICES : 0;
  const next = pciAddresses(1 + shares + disks + networks + ofScreen + ofSound + lateShares);
  const several = (count: number) => Array.from({ length: count }, next);
  return {
    serial: next(),
    shares: several(shares),
    disks: several(disks),
    networks: several(networks),
    screen: several(ofScreen),
    sound: several(ofSound),
    lateShares: several(lateShares),
  };
}

/** Linux's name for the device in each slot: `0000:00:07.0`. */
export function slotNames(
  shares: number,
  slots: Slots,
): { readonly disks: readonly string[]; readonly networks: readonly string[] } {
  const { disks, networks } = deviceAddresses(shares, slots);
  return { disks: disks.map(pciName), networks: networks.map(pciName) };
}

/**
 * QEMU's arguments for the devices in vacant slots. libvirt has no network that leads nowhere, and its disks need a
 * file.
 */
export function vacantArguments(disks: readonly PciAddress[], networks: readonly PciAddress[]): string[] {
  return [
    ...disks.flatMap((address, number) => {
      const name = `vacant-disk${number}`;
      return [
        ...['-blockdev', JSON.stringify({ driver: 'null-co', 'node-name': name, size: 0 })],
        ...['-device', JSON.stringify({ driver: modernDriver('blk'), drive: name, ...onRootBus(address) })],
      ];
    }),
    ...networks.flatMap((address, number) => {
      const id = `vacant-network${number}`;
      return [
        ...['-netdev', JSON.stringify({ type: 'hubport', id, hubid: number })],
        // A ROM would be part of the saved memory, and an interface of the sandbox has none.
        ...['-device', JSON.stringify({ driver: modernDriver('net'), netdev: id, romfile: '', ...onRootBus(address) })],
      ];
    }),
  ];
}

/** A device's place on the root bus, as QEMU's properties. The bus has libvirt's name for it. */
export function onRootBus(address: PciAddress): { readonly bus: string; readonly addr: string } {
  const several = address['@multifunction'] === 'on' ? { multifunction: true } : {};
  return { bus: 'pcie.0', addr: `${address['@slot']}.${address['@function']}`, ...several };
}
