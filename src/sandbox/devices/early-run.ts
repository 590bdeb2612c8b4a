/** Whether the launcher may let a machine run before libvirt does: see start/run-machine.ts. */
import type { SandboxConfig, Tuning } from '../../config/types.js';

/** What QEMU is started with. libvirt applies all else of the tuning while QEMU exists and the machine is paused. */
const OF_THE_START: readonly string[] = ['numa', 'hugePages', 'ioThreads'] satisfies (keyof Tuning)[];

/** False if libvirt has something to apply before the machine runs. */
export function mayRunEarly({ tuning }: SandboxConfig): boolean {
  return Object.entries(tuning).every(
    ([key, value]) => OF_THE_START.includes(key) || value === undefined || (Array.isArray(value) && value.length === 0),
  );
}
