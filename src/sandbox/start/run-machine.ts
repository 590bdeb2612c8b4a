/** Letting a machine run before libvirt comes to that: libvirt has QEMU made for it and then asks a hundred things, while the machine stands still. */
import type { SandboxConfig } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import { mark } from '../../util/marks.js';

/** False where the machine must stand still until libvirt is done: it sees to limits when QEMU is there and the machine does not run yet. */
export function mayRunEarly({ tuning }: SandboxConfig): boolean {
  const { cpuShares, cpuPin, diskLimits, networkLimits } = tuning;
  return cpuShares === undefined && cpuPin.length + diskLimits.length + networkLimits.length === 0;
}

/** libvirt lets it run as well, when it has done all else. So where this fails libvirt says why. */
export function runMachine(monitor: Monitor): void {
  monitor.execute('cont').then(
    () => mark('machine.running'),
    () => {},
  );
}
