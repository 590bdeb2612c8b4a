/**
 * Devices at the places of a saved machine. When it was saved none of them had a driver: what stands there now may be another device, and whatever a
 * driver knows of one it asks when it gets to it.
 */
import type { Guest } from '../../src/protocol/operations.js';
import type { GuestConfig } from './config.js';

const BUS = '/sys/bus/pci';
const DRIVER = `${BUS}/drivers/virtio-pci`;

/**
 * Has the kernel look for devices that were not there when the machine was saved, and gives the driver those at the sandbox's slots. They are there
 * when this returns.
 * @throws {OperationError} where a device is not there, or is not what it should be
 */
export async function attachSlots(
  guest: Guest,
  { lateDevices = false, slots = [] }: Pick<GuestConfig, 'lateDevices' | 'slots'>,
): Promise<void> {
  // The kernel gives each that it finds addresses and its driver before it answers.
  const looking = lateDevices ? [write(guest, `${BUS}/rescan`, '1')] : [];
  await Promise.all([...looking, tellDriver(guest, 'bind', slots)]);
}

/** Takes every device from the driver, for a machine that is to be saved. */
export async function detachSlots(guest: Guest, slots: readonly string[]): Promise<void> {
  await tellDriver(guest, 'unbind', slots);
}

async function tellDriver(guest: Guest, what: 'bind' | 'unbind', slots: readonly string[]): Promise<void> {
  await Promise.all(slots.map((place) => write(guest, `${DRIVER}/${what}`, place)));
}

async function write(guest: Guest, path: string, text: string): Promise<void> {
  await guest.call({ op: 'writeFile', path, mode: 0o200, flags: 0, data: new TextEncoder().encode(text) });
}
