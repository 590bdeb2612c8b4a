/** The host that something was measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg, release } from 'node:os';
import { findInPath } from '../../util/programs.js';
import type { ImageFacts } from './commands.js';
import { isNested } from './setting.js';

/** Above this load average, other work shows in the figures. */
export const QUIET_LOAD = 0.5;

export interface HostFacts {
  readonly processors: number;
  readonly model: string;
  readonly acceleration: string;
  /** Of the guest. */
  readonly kernel: string;
  readonly qemu: string;
  readonly libvirt: string;
  readonly node: string;
  readonly connection: string;
  /** Load average of the minute before the first run. */
  readonly load: number;
  /** KVM ran inside a machine that QEMU emulated. */
  readonly nested?: true;
}

export function hostFacts(image: ImageFacts): HostFacts {
  return {
    processors: availableParallelism(),
    model: /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown',
    // A container has no acceleration and no kernel of its own.
    acceleration: image.acceleration ?? 'none',
    kernel: image.kernelVersion ?? release(),
    qemu: programVersion(findInPath('qemu-system-x86_64')),
    libvirt: programVersion(findInPath('virsh') ?? findInPath('libvirtd')),
    node: process.versions.node,
    connection: image.uri,
    load: loadavg()[0] ?? 0,
    ...(isNested() ? { nested: true } : {}),
  };
}

export function hostText(facts: HostFacts): string {
  const { processors, model, acceleration, kernel, qemu, libvirt, node, connection, load, nested } = facts;
  const kind = acceleration === 'none' ? 'a container' : acceleration.toUpperCase();
  const platform = nested ? `${kind} in an emulated machine` : kind;
  return (
    `${processors} processors (${model}), ${platform}, Linux ${kernel} in the guest, QEMU ${qemu}, ` +
    `libvirt ${libvirt} (${connection}), Node.js ${node}; load before the first run ${load.toFixed(2)}`
  );
}

export function programVersion(program: string | undefined): string {
  if (program === undefined) return 'none';
  const said = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? 'unknown';
}
