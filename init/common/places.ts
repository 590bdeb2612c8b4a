/**
 * Devices at the places of a saved machine. When it was saved none of them had a driver: what stands there now may be another device, and whatever a
 * driver knows of one it asks when it gets to it.
 */
import type { Guest } from '../../src/guest/operations.js';

const DRIVER = '/sys/bus/pci/drivers/virtio-pci';

/**
 * Gives the driver the devices that the sandbox has. They are there when this returns.
 * @throws {OperationError} where a device is not there, or is not what it should be
 */
export async function attachPlaces(guest: Guest, places: readonly string[]): Promise<void> {
  await tellDriver(guest, 'bind', places);
}

/** Takes every device from the driver, for a machine that is to be saved. */
export async function detachPlaces(guest: Guest, places: readonly string[]): Promise<void> {
  await tellDriver(guest, 'unbind', places);
}

async function tellDriver(guest: Guest, what: 'bind' | 'unbind', places: readonly string[]): Promise<void> {
  await Promise.all(
    places.map((place) =>
      guest.call({
        op: 'writeFile',
        path: `${DRIVER}/${what}`,
        mode: 0o200,
        flags: 0,
        data: new TextEncoder().encode(place),
      }),
    ),
  );
}
