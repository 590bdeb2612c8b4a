/**
 * Devices in the slots of a restored machine. They had no driver when the machine was saved, so the device in a slot
 * may now be another one: a driver asks a device for everything when it is bound.
 */
import type { Guest } from '../../src/protocol/operations.js';
import { KEPT_SECOND_FD } from '../../src/protocol/wire.js';
import type { GuestConfig } from './config.js';

const BUS = '/sys/bus/pci';
/** Where /sys is kept while the one of the root is read-only. Only a process with the init's capabilities gets there. */
const KEPT_BUS = `/proc/1/fd/${KEPT_SECOND_FD}/bus/pci`;

/**
 * Rescans the PCI bus for late devices, and binds the driver to the sandbox's slots. All devices are usable when this
 * returns.
 * @throws {OperationError} if a device is missing or the driver refuses it
 */
export async function attachSlots(
  guest: Guest,
  { lateDevices = false, slots = [], hasKeptSys }: Pick<GuestConfig, 'lateDevices' | 'slots' | 'hasKeptSys'>,
): Promise<void> {
  const bus = hasKeptSys === true ? KEPT_BUS : BUS;
  // A rescan returns when the devices that it found have addresses and drivers.
  const looking = lateDevices ? [write(guest, `${bus}/rescan`, '1')] : [];
  await Promise.all([...looking, tellDriver(guest, bus, 'bind', slots)]);
}

/**
 * Unbinds the driver from all slots, before the machine is saved, and enables them: the first who enables a device has
 * the firmware's table of interrupts interpreted, which takes as long as all else that a driver does when it is bound.
 * https://docs.kernel.org/PCI/pci.html#enable-the-pci-device
 */
export async function detachSlots(guest: Guest, slots: readonly string[]): Promise<void> {
  const unbinding = tellDriver(guest, BUS, 'unbind', slots);
  // One that has a driver cannot be enabled.
  const enabling = slots.map((slot) => write(guest, `${BUS}/devices/${slot}/enable`, '1'));
  await Promise.all([unbinding, ...enabling]);
}

async function tellDriver(guest: Guest, bus: string, what: 'bind' | 'unbind', slots: readonly string[]): Promise<void> {
  await Promise.all(slots.map((slot) => write(guest, `${bus}/drivers/virtio-pci/${what}`, slot)));
}

async function write(guest: Guest, path: string, text: string): Promise<void> {
  await guest.call({ op: 'writeFile', path, mode: 0o200, flags: 0, data: new TextEncoder().encode(text) });
}
