/** Whether the launcher may let a machine run before libvirt does: see start/run-machine.ts. */
import type { SandboxConfig } from '../../config/types.js';

/** False if the config has limits: libvirt applies them while QEMU exists and the machine is paused. */
export function mayRunEarly({ tuning }: SandboxConfig): boolean {
  const { cpuShares, cpuPin, diskLimits, networkLimits } = tuning;
  return cpuShares === undefined && cpuPin.length + diskLimits.length + networkLimits.length === 0;
}
