/**
 * Emulated processors beside the first are brought up by the common init, when the kernel has set its devices up.
 *
 * While one processor moves a device's registers to another place in the guest's memory, which a kernel does with every device of PCI, another that writes to a
 * device may hit the wrong one: QEMU 10.0 looks the place up in the new map by a number of the old one, until that processor has heard of the change
 * (iotlb_to_section in system/physmem.c). What it writes to most often is its interrupt controller, and where the end of an interrupt is lost, that
 * processor gets no other. Of a hundred machines with two processors two stood still. A processor that does not run yet writes nothing.
 */
import { readIfThere } from '../util/small-files.js';

/** Ticks a second of most distributions' kernels. With another number short delays are by so much too long or too short, which no emulated device minds. */
const KERNEL_HZ = 250;

/** A host counts its clock anew at every start, and comes to a little more or less. */
const ROUNDED_TO = 100_000;

/** How many processors the kernel leaves to the common init: all but the first, or none. */
export function lateProcessors(vcpus: number, acceleration: 'kvm' | 'tcg'): number {
  return acceleration === 'tcg' ? vcpus - 1 : 0;
}

/**
 * The kernel's arguments for that. A processor that comes later measures how long a delay loop takes, for 0.3 to 2 s, unless it is told. Loops
 * count the time stamp counter, which is the host's.
 * https://docs.kernel.org/admin-guide/kernel-parameters.html (maxcpus, lpj)
 */
export function processorArguments(vcpus: number, acceleration: 'kvm' | 'tcg'): string[] {
  if (lateProcessors(vcpus, acceleration) === 0) return [];
  const loops = loopsPerTick(readIfThere('/proc/cpuinfo') ?? '');
  return ['maxcpus=1', ...(loops === undefined ? [] : [`lpj=${loops}`])];
}

/** @param cpuinfo of the host; its bogomips are twice the millions of loops in a second */
export function loopsPerTick(cpuinfo: string): number | undefined {
  const bogomips = Number(/^bogomips\s*:\s*([\d.]+)$/m.exec(cpuinfo)?.[1]);
  if (!(bogomips > 0)) return undefined;
  return Math.max(1, Math.round((bogomips * 500_000) / KERNEL_HZ / ROUNDED_TO)) * ROUNDED_TO;
}
