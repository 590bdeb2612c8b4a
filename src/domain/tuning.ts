/**
 * The XML of limits.
 *
 * https://libvirt.org/formatdomain.html#cpu-tuning, #hard-drives-floppy-disks-cdroms (iotune), #quality-of-service
 */
import { formatNumberSet } from '../config/parsers/number-set.js';
import { diskLimitsOf } from '../config/parsers/tuning.js';
import type { Bandwidth, Tuning } from '../config/types.js';
import type { Element } from './xml.js';

/** The `cputune` element of a machine; undefined: no limits. */
export function cputune({ cpuShares, cpuPin }: Tuning, vcpus: number): Element | undefined {
  if (cpuShares === undefined && cpuPin.length === 0) return undefined;
  const cpuset = formatNumberSet(cpuPin);
  return {
    shares: cpuShares,
    vcpupin: cpuPin.length === 0 ? undefined : range(vcpus).map((vcpu) => ({ '@vcpu': vcpu, '@cpuset': cpuset })),
    // Pin the emulator and I/O threads too.
    emulatorpin: cpuPin.length === 0 ? undefined : { '@cpuset': cpuset },
  };
}

/** The `cputune` element of a container. Its `vcpu` element pins the CPUs: {@link cpusetOf}. */
export function containerCputune({ cpuShares }: Tuning): Element | undefined {
  return cpuShares === undefined ? undefined : { shares: cpuShares };
}

/** The CPUs that a container may run on; undefined: all. */
export function cpusetOf({ cpuPin }: Tuning): string | undefined {
  return cpuPin.length === 0 ? undefined : formatNumberSet(cpuPin);
}

/** The `iotune` element of the disk with that tag; undefined: no limit. */
export function iotune(tuning: Tuning, tag: string): Element | undefined {
  return diskLimitsOf(tuning, tag);
}

/** The `bandwidth` element of interface `index`, counted from 0; undefined: no limit. */
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
