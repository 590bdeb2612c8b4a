/**
 * Which virtio a machine has: 1.0 and later only. A device on the root bus would also speak the older one, which a guest
 * reaches through I/O ports.
 *
 * https://libvirt.org/formatdomain.html#virtio-transitional-devices
 */

/** libvirt's model of every virtio device, but those that virtiofsd serves: they have no older form. */
export const MODERN = 'virtio-non-transitional';

/** QEMU's name of such a device: `virtio-blk-pci-non-transitional`. */
export function modernDriver(kind: 'blk' | 'net' | 'serial' | '9p'): string {
  return `virtio-${kind}-pci-non-transitional`;
}
