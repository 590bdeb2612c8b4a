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
const ROUNDED_TO = { loops: 100_000, kilohertz: 10_000 } as const;

/** How many CPUs the kernel leaves to the common init: all but the first under TCG, else none. */
export function lateProcessors(vcpus: number, acceleration: 'kvm' | 'tcg'): number {
  return acceleration === 'tcg' ? vcpus - 1 : 0;
}

/** What the host's kernel could take its time from. Not there: a kernel without sysfs. */
const CLOCKS = '/sys/devices/system/clocksource/clocksource0/available_clocksource';

/**
 * The kernel arguments for the CPUs of a machine.
 */
export function processorArguments(
  vcpus: number,
  acceleration: 'kvm' | 'tcg',
  { clocks, cpuinfo }: HostClocks = hostClocks(),
): string[] {
  return acceleration === 'kvm' ? [] : [...timeArguments(clocks, cpuinfo), ...lateArguments(vcpus, cpuinfo)];
}

/** What the host's kernel says of its clocks; empty: nothing. */
export interface HostClocks {
  /** Those that it could take its time from. */
  readonly clocks: string;
  /** /proc/cpuinfo */
  readonly cpuinfo: string;
}

function hostClocks(): HostClocks {
  return { clocks: readIfThere(CLOCKS) ?? '', cpuinfo: readIfThere('/proc/cpuinfo') ?? '' };
}

/**
 * An emulated CPU's time stamp counter is the host's, and a program reads it without a system call. But on a busy host
 * the kernel boots between late ticks, by which the counter seems to run too fast. It would take the time from ACPI's
 * timer then, with a system call and an exit to QEMU for each look at the clock.
 *
 * How fast the counter runs, the kernel measures against the PIT, and on a busy host it finds an eighth of that, or less
 * ("PIT calibration deviates from PMTIMER"): its time would fly. So it is told, and corrects it against ACPI's timer a
 * second later, by 1 % at most. Without that it must not believe the counter.
 * https://docs.kernel.org/admin-guide/kernel-parameters.html (tsc, tsc_early_khz)
 *
 * A host's kernel that has found its own counters to differ does not list them.
 */
function timeArguments(clocks: string, cpuinfo: string): string[] {
  const kilohertz = counterKilohertz(cpuinfo);
  if (kilohertz === undefined || !clocks.trim().split(' ').includes('tsc')) return [];
  return ['tsc=reliable', `tsc_early_khz=${kilohertz}`];
}

/**
 * The kernel arguments for late CPUs. A CPU that comes online measures the delay loop for 0.3 to 2 s, unless `lpj`
 * tells the result. Loops count the time stamp counter, which is the host's.
 * https://docs.kernel.org/admin-guide/kernel-parameters.html (maxcpus, lpj)
 */
function lateArguments(vcpus: number, cpuinfo: string): string[] {
  if (lateProcessors(vcpus, 'tcg') === 0) return [];
  const loops = loopsPerTick(cpuinfo);
  return ['maxcpus=1', ...(loops === undefined ? [] : [`lpj=${loops}`])];
}

/** How often a host's delay loop runs in a tick. */
export function loopsPerTick(cpuinfo: string): number | undefined {
  const millions = loopsOf(cpuinfo);
  return millions && rounded((millions * 1_000_000) / KERNEL_HZ, ROUNDED_TO.loops);
}

/** How fast a host's time stamp counter runs, which its delay loop counts if it is a clock. */
export function counterKilohertz(cpuinfo: string): number | undefined {
  const millions = loopsOf(cpuinfo);
  return millions && rounded(millions * 1000, ROUNDED_TO.kilohertz);
}

/** Millions of loops per second: bogomips are twice that. */
function loopsOf(cpuinfo: string): number | undefined {
  const bogomips = Number(/^bogomips\s*:\s*([\d.]+)$/m.exec(cpuinfo)?.[1]);
  return bogomips > 0 ? bogomips / 2 : undefined;
}

function rounded(value: number, to: number): number {
  return Math.max(1, Math.round(value / to)) * to;
}
