/**
 * Under TCG, secondary CPUs come online only after the kernel has set up its devices. The common init brings them up.
 *
 * This works around a race in QEMU 10.0. While one CPU moves the registers of a device in the guest's memory map, as a
 * kernel does with every PCI device, another CPU that writes to a device may hit the wrong one: QEMU looks up an index
 * of the old map in the new one until that CPU has seen the change (iotlb_to_section in system/physmem.c). The usual
 * victim is the CPU's interrupt controller: if the end of an interrupt is lost, the CPU gets no further interrupt. 2 of
 * 100 machines with two CPUs hung. A CPU that is offline writes nothing.
 */
import { readIfThere } from '../util/small-files.js';

/**
 * CONFIG_HZ of most distributions' kernels. If a kernel has another, its short delays are off by that factor, which no
 * emulated device minds.
 */
const KERNEL_HZ = 250;

/** A host measures its clock at every boot, with slightly different results. Rounding hides that. */
const ROUNDED_TO = 100_000;

/** How many CPUs the kernel leaves to the common init: all but the first under TCG, else none. */
export function lateProcessors(vcpus: number, acceleration: 'kvm' | 'tcg'): number {
  return acceleration === 'tcg' ? vcpus - 1 : 0;
}

/**
 * The kernel arguments for late CPUs. A CPU that comes online measures the delay loop for 0.3 to 2 s, unless `lpj`
 * tells the result. Loops count the time stamp counter, which is the host's.
 * https://docs.kernel.org/admin-guide/kernel-parameters.html (maxcpus, lpj)
 */
export function processorArguments(vcpus: number, acceleration: 'kvm' | 'tcg'): string[] {
  if (lateProcessors(vcpus, acceleration) === 0) return [];
  const loops = loopsPerTick(readIfThere('/proc/cpuinfo') ?? '');
  return ['maxcpus=1', ...(loops === undefined ? [] : [`lpj=${loops}`])];
}

/** @param cpuinfo the host's /proc/cpuinfo: bogomips are twice the millions of loops per second */
export function loopsPerTick(cpuinfo: string): number | undefined {
  const bogomips = Number(/^bogomips\s*:\s*([\d.]+)$/m.exec(cpuinfo)?.[1]);
  if (!(bogomips > 0)) return undefined;
  return Math.max(1, Math.round((bogomips * 500_000) / KERNEL_HZ / ROUNDED_TO)) * ROUNDED_TO;
}
