/**
 * Limits as libvirt describes them.
 *
 * https://libvirt.org/formatdomain.html#cpu-tuning, #hard-drives-floppy-disks-cdroms (iotune), #quality-of-service
 */
import { diskLimitsOf, formatCpuSet } from '../config/parsers/tuning.js';
import type { Bandwidth, Tuning } from '../config/types.js';
import type { Element } from './xml.js';

/** The `cputune` element; undefined when nothing is asked for. */
export function cputune({ cpuShares, cpuPin }: Tuning, vcpus: number): Element | undefined {
  if (cpuShares === undefined && cpuPin.length === 0) return undefined;
  const cpuset = formatCpuSet(cpuPin);
  return {
    shares: cpuShares,
    vcpupin: cpuPin.length === 0 ? undefined : range(vcpus).map((vcpu) => ({ '@vcpu': vcpu, '@cpuset': cpuset })),
    // Its input and output and what emulates a CPU are the sandbox as well.
    emulatorpin: cpuPin.length === 0 ? undefined : { '@cpuset': cpuset },
  };
}

/** The same for a container, whose processors are pinned by its `vcpu` element: {@link cpusetOf}. */
export function containerCputune({ cpuShares }: Tuning): Element | undefined {
  return cpuShares === undefined ? undefined : { shares: cpuShares };
}

/** The processors that a container may run on; undefined where it may on all. */
export function cpusetOf({ cpuPin }: Tuning): string | undefined {
  return cpuPin.length === 0 ? undefined : formatCpuSet(cpuPin);
}

/** The `iotune` element of the disk with that tag; undefined where it has no limit. */
export function iotune(tuning: Tuning, tag: string): Element | undefined {
  return diskLimitsOf(tuning, tag);
}

/** The `bandwidth` element of an interface, counted from 0; undefined where it has no limit. */
export function bandwidth({ networkLimits }: Tuning, index: number): Element | undefined {
  const limits = networkLimits.filter((limit) => limit.index === index);
  if (limits.length === 0) return undefined;
  return {
    inbound: direction(limits.findLast(({ inbound }) => inbound !== undefined)?.inbound),
    outbound: direction(limits.findLast(({ outbound }) => outbound !== undefined)?.outbound),
  };
}

function direction(limit: Bandwidth | undefined): Element | undefined {
  if (limit === undefined) return undefined;
  return { '@average': limit.average, '@peak': limit.peak, '@burst': limit.burst };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
