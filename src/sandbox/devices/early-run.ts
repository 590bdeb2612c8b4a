/** Whether a machine may run before libvirt lets it: see start/run-machine.ts. */
import type { SandboxConfig } from '../../config/types.js';

/** False where the machine must stand still until libvirt is done: it sees to limits when QEMU is there and the machine does not run yet. */
export function mayRunEarly({ tuning }: SandboxConfig): boolean {
  const { cpuShares, cpuPin, diskLimits, networkLimits } = tuning;
  return cpuShares === undefined && cpuPin.length + diskLimits.length + networkLimits.length === 0;
}
