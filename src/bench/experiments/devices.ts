/** Devices and features of the machine, each by itself: QEMU's `-machine` takes them one by one, and the last word counts. */
import type { Profile } from '../../profile/types.js';

/** Those that `legacy: absent` leaves out. https://www.qemu.org/docs/master/system/i386/pc.html */
const LEGACY = ['hpet', 'vmport', 'smm'];
/** Those that are always there. */
const USUAL = ['i8042', 'sata', 'smbus'];

/** Each device turned off where it is there, and on where it is not. */
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
