/**
 * Devices and features of the machine, one at a time. Of several `-machine` options for one device QEMU takes the last.
 */
import type { Profile } from '../../profile/types.js';

/** Devices that `legacy: absent` leaves out. https://www.qemu.org/docs/master/system/i386/pc.html */
const LEGACY = ['hpet', 'vmport', 'smm'];
/** Devices that every machine has. */
const USUAL = ['i8042', 'sata', 'smbus'];

/** One change for each device: off where the profile has it, on where it lacks it. */
export function deviceChanges({ machine }: Profile): { label: string; apply: (profile: Profile) => Profile }[] {
  return [...LEGACY, ...USUAL].map((device) => {
    const isThere = machine.legacy === 'present' || USUAL.includes(device);
    return {
      label: `machine ${isThere ? 'without' : 'with'} ${device}`,
      apply: (one) => ({
        ...one,
        qemuArguments: [...(one.qemuArguments ?? []), '-machine', `${device}=${isThere ? 'off' : 'on'}`],
      }),
    };
  });
}
