/** Letting a machine run before libvirt comes to that: libvirt has QEMU made for it and then asks a hundred things, while the machine stands still. */
import type { Monitor } from '../../libvirt/monitor.js';
import { mark } from '../../util/marks.js';

/** libvirt lets it run as well, when it has done all else. So where this fails libvirt says why. */
export function runMachine(monitor: Monitor): void {
  monitor.execute('cont').then(
    () => mark('machine.running'),
    () => {},
  );
}
