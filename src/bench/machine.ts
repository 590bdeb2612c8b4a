/** What the figures were taken on, as far as it bears on them. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, loadavg, release } from 'node:os';
import { findInPath } from '../programs.js';
import type { Context } from './context.js';

/** Above it, other work shows in the figures. */
export const QUIET_LOAD = 0.5;

export interface MachineFacts {
  readonly processors: number;
  readonly acceleration: string;
  readonly kernel: string;
  readonly qemu: string;
  readonly libvirt: string;
  readonly node: string;
  readonly virtme: string;
  /** Processes that were running on average in the minute before. */
  readonly load: number;
}

export function machineFacts({ image, virtme }: Context): MachineFacts {
  return {
    processors: availableParallelism(),
    acceleration: image.acceleration ?? 'none',
    kernel: image.kernelVersion ?? release(),
    qemu: programVersion(findInPath('qemu-system-x86_64')),
    libvirt: programVersion(findInPath('virsh')),
    node: process.versions.node,
    virtme: 'missing' in virtme ? 'none' : programVersion(virtme.program),
    load: loadavg()[0] ?? 0,
  };
}

export function machineText(facts: MachineFacts): string {
  const { processors, acceleration, kernel, qemu, libvirt, node, virtme, load } = facts;
  return (
    `${processors} processors, ${acceleration === 'tcg' ? 'TCG' : acceleration.toUpperCase()}, Linux ${kernel} in the guest, ` +
    `QEMU ${qemu}, libvirt ${libvirt}, Node.js ${node}, virtme-ng ${virtme}; load before the first run ${load.toFixed(2)}`
  );
}

export function programVersion(program: string | undefined): string {
  if (program === undefined) return 'none';
  const said = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? 'unknown';
}
