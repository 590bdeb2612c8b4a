/** Lets a machine run before libvirt does: libvirt starts QEMU paused, and first sends it a hundred queries. */
import type { Monitor } from '../../libvirt/monitor.js';
import { mark } from '../../util/marks.js';

/** Failures are ignored: libvirt lets the machine run too, later, and reports why it cannot. */
export function runMachine(monitor: Monitor): void {
  monitor.execute('cont').then(
    () => mark('machine.running'),
    () => {},
  );
}
