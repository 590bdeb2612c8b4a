/** Disks: finds the device of each, and makes the links in /dev/disk/by-tag. */
import type { Guest } from '../../src/protocol/operations.js';
import { attempt } from './attempt.js';
import type { GuestConfig } from './config.js';
import { call, type Step } from './step.js';

/** Paths of block devices by serial number, and those of the partitions that the kernel has found on an overlay's. */
export type Devices = ReadonlyMap<string, string>;

const SYS_BLOCK = '/sys/block';
/** A serial number of virtio-blk has at most 20 bytes; sysfs adds a newline. */
const SERIAL_BYTES = 64;

/**
 * Finds the config's disks in /sys. Their names (vda, vdb) depend on the order in which the kernel found them. All are
 * there when the init is ready: a driver probes its devices while it is loaded.
 */
export async function findDevices(guest: Guest, config: GuestConfig): Promise<Devices> {
  if (config.devices !== undefined) return new Map(Object.entries(config.devices));
  const wanted = serialsOf(config);
  const devices = new Map<string, string>();
  if (wanted.length === 0) return devices;
  const { value: names } = await guest.call({ op: 'listDir', path: SYS_BLOCK });
  const kept = config.overlay?.type === 'image' ? config.overlay.serial : undefined;
  await Promise.all(
    names.map(async (name) => {
      const serial = await readSerial(guest, name);
      if (serial === undefined || !wanted.includes(serial)) return;
      devices.set(serial, `/dev/${name}`);
      if (serial !== kept) return;
      for (const part of await readPartitions(guest, name)) devices.set(`${serial}/${part}`, `/dev/${part}`);
    }),
  );
  return devices;
}

/** A sandbox with capabilities may have written a partition table to the disk of an overlay. */
async function readPartitions(guest: Guest, name: string): Promise<string[]> {
  const { value } = await guest.call({ op: 'listDir', path: `${SYS_BLOCK}/${name}` });
  return value.filter((entry) => entry.startsWith(name));
}

/** Everything by which a disk can be opened. */
export function nodesOf(devices: Devices, serial: string): string[] {
  return [...devices].filter(([key]) => key === serial || key.startsWith(`${serial}/`)).map(([, path]) => path);
}

/** Undefined for block devices without a serial number. */
async function readSerial(guest: Guest, name: string): Promise<string | undefined> {
  const serial = await attempt(guest, { op: 'readFile', path: `${SYS_BLOCK}/${name}/serial`, limit: SERIAL_BYTES });
  return serial && Buffer.from(serial).toString('latin1').trim();
}

function serialsOf({ root, overlay, mounts, disks }: GuestConfig): string[] {
  const images = [root, ...mounts].flatMap((mount) => (mount.type === 'image' ? [mount.serial] : []));
  const kept = overlay?.type === 'image' ? [overlay.serial] : [];
  return [...images, ...kept, ...disks.map(({ serial }) => serial)];
}

/** The device of a disk. If it is missing, a path that does not exist and names the disk in the error to come. */
export function deviceOf(devices: Devices, serial: string): string {
  return devices.get(serial) ?? `/dev/disk-with-serial-${serial}`;
}

/** The step that links disks by tag and gives them to the application's user. */
export function diskSteps({ disks, identity }: GuestConfig, devices: Devices): Step[] {
  if (disks.length === 0) return [];
  const calls = disks.flatMap(({ tag, serial }) => {
    const device = deviceOf(devices, serial);
    return [
      call({ op: 'chown', path: device, uid: identity.uid, gid: identity.gid }),
      call({ op: 'symlink', target: device.replace('/dev/', '../../'), path: `/dev/disk/by-tag/${tag}` }),
    ];
  });
  return [{ name: 'disks', calls: [call({ op: 'mkdir', path: '/dev/disk/by-tag', mode: 0o755 }), ...calls] }];
}
