/** Disks: which device each is, and their links for the application. */
import type { Guest } from '../../src/protocol/operations.js';
import { attempt } from './attempt.js';
import type { GuestConfig } from './config.js';
import { call, type Step } from './step.js';

/** Paths of devices by the serial numbers of their disks. */
export type Devices = ReadonlyMap<string, string>;

const SYS_BLOCK = '/sys/block';
/** virtio-blk's serial number has 20 bytes; sysfs adds a line end. */
const SERIAL_BYTES = 64;

/**
 * Asks the guest's kernel for the disks, whose names depend on the order in which it found them. It has found all of them before it is ready:
 * a driver that is loaded looks for its devices there and then.
 */
export async function findDevices(guest: Guest, config: GuestConfig): Promise<Devices> {
  if (config.devices !== undefined) return new Map(Object.entries(config.devices));
  const wanted = serialsOf(config);
  const devices = new Map<string, string>();
  if (wanted.length === 0) return devices;
  const { value: names } = await guest.call({ op: 'listDir', path: SYS_BLOCK });
  await Promise.all(
    names.map(async (name) => {
      const serial = await readSerial(guest, name);
      if (serial !== undefined && wanted.includes(serial)) devices.set(serial, `/dev/${name}`);
    }),
  );
  return devices;
}

/** Other block devices have no serial number. */
async function readSerial(guest: Guest, name: string): Promise<string | undefined> {
  const serial = await attempt(guest, { op: 'readFile', path: `${SYS_BLOCK}/${name}/serial`, limit: SERIAL_BYTES });
  return serial && Buffer.from(serial).toString('latin1').trim();
}

function serialsOf({ root, mounts, disks }: GuestConfig): string[] {
  const images = [root, ...mounts].flatMap((mount) => (mount.type === 'image' ? [mount.serial] : []));
  return [...images, ...disks.map(({ serial }) => serial)];
}

/** The device of a disk; where there is none, a path that says which disk was looked for. */
export function deviceOf(devices: Devices, serial: string): string {
  return devices.get(serial) ?? `/dev/disk-with-serial-${serial}`;
}

/** Links by tag. The disks are the application's own, whoever it runs as. */
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
