/**
 * Devices and features of the machine, one at a time. Of several `-machine` options for one device QEMU takes the last.
 */
import { modernDriver } from '../../domain/virtio.js';
import type { Profile } from '../../profile/types.js';

/** Devices that `legacy: absent` leaves out. https://www.qemu.org/docs/master/system/i386/pc.html */
const LEGACY = ['hpet', 'vmport', 'smm'];
/** Devices that every machine has. */
const USUAL = ['i8042', 'sata', 'smbus'];

interface DeviceChange {
  readonly label: string;
  readonly apply: (profile: Profile) => Profile;
}

/** One change for each device: off where the profile has it, on where it lacks it. */
export function deviceChanges({ machine }: Profile): DeviceChange[] {
  const devices = [...LEGACY, ...USUAL].map((device) => {
    const isThere = machine.legacy === 'present' || USUAL.includes(device);
    return withArguments(`machine ${isThere ? 'without' : 'with'} ${device}`, [
      ...['-machine', `${device}=${isThere ? 'off' : 'on'}`],
    ]);
  });
  // The guest sets up two queues for each port that there may be: QEMU's default is 31.
  const ports = withArguments('machine with 2 serial ports at most', [
    '-global',
    `${modernDriver('serial')}.max_ports=2`,
  ]);
  return [...devices, ports];
}

function withArguments(label: string, words: readonly string[]): DeviceChange {
  return { label, apply: (one) => ({ ...one, qemuArguments: [...(one.qemuArguments ?? []), ...words] }) };
}
