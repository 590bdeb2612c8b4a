/**
 * The XML of what is tuned.
 *
 * https://libvirt.org/formatdomain.html#cpu-tuning, #numa-node-tuning, #memory-tuning, #block-i-o-tuning,
 * #hard-drives-floppy-disks-cdroms (iotune), #quality-of-service
 */
import { numaMemory } from '../config/parsers/numa.js';
import { formatNumberSet } from '../config/parsers/number-set.js';
import { diskLimitsOf } from '../config/parsers/tuning.js';
import type { Bandwidth, Tuning } from '../config/types.js';
import type { Element } from './xml.js';

/** The elements of a domain that tune it as a whole. */
export interface TuningElements {
  readonly cputune: Element | undefined;
  readonly numatune: Element | undefined;
  readonly memtune: Element | undefined;
  readonly blkiotune: Element | undefined;
}

/** Of a machine. */
export function machineTuning(tuning: Tuning, vcpus: number): TuningElements {
  return { cputune: cputune(tuning, vcpus), ...commonTuning(tuning) };
}

/** Of a container. Its `vcpu` element pins the CPUs: {@link cpusetOf}. */
export function containerTuning(tuning: Tuning): TuningElements {
  return { cputune: unlessEmpty(cpuTime(tuning)), ...commonTuning(tuning) };
}

function commonTuning(tuning: Tuning): Omit<TuningElements, 'cputune'> {
  const { blockWeight, memoryLimit, memorySoftLimit, memorySwapLimit } = tuning;
  return {
    numatune: numatune(tuning),
    memtune: unlessEmpty({
      hard_limit: kibibytes(memoryLimit),
      soft_limit: kibibytes(memorySoftLimit),
      swap_hard_limit: kibibytes(memorySwapLimit),
    }),
    blkiotune: unlessEmpty({ weight: blockWeight }),
  };
}

function numatune({ numaNodes, numa }: Tuning): Element | undefined {
  // libvirt takes no other mode for a node beside this one.
  const mode = numaNodes?.mode === 'restrictive' ? 'restrictive' : 'strict';
  const memnode = numa.flatMap(({ node, hostNodes }) =>
    hostNodes === undefined ? [] : [{ '@cellid': node, '@mode': mode, '@nodeset': formatNumberSet(hostNodes) }],
  );
  return unlessEmpty({
    memory: numaNodes && { '@mode': numaNodes.mode, '@nodeset': formatNumberSet(numaNodes.nodes) },
    memnode: memnode.length === 0 ? undefined : memnode,
  });
}

function cputune(tuning: Tuning, vcpus: number): Element | undefined {
  const { cpuPin, cpuScheduler, ioThreads = 0 } = tuning;
  const cpuset = cpusetOf(tuning);
  return unlessEmpty({
    ...cpuTime(tuning),
    vcpupin: cpuPin.length === 0 ? undefined : range(vcpus).map((vcpu) => ({ '@vcpu': vcpu, '@cpuset': cpuset })),
    emulatorpin: cpuset === undefined ? undefined : { '@cpuset': cpuset },
    // I/O threads do not have the CPUs of the emulator.
    iothreadpin:
      cpuPin.length === 0 || ioThreads === 0
        ? undefined
        : range(ioThreads).map((index) => ({ '@iothread': index + 1, '@cpuset': cpuset })),
    vcpusched: cpuScheduler && {
      '@vcpus': formatNumberSet(range(vcpus)),
      '@scheduler': cpuScheduler.policy,
      '@priority': 'priority' in cpuScheduler ? cpuScheduler.priority : undefined,
    },
  });
}

function cpuTime({ cpuShares, cpuPeriod, cpuQuota }: Tuning): Element {
  return { shares: cpuShares, period: cpuPeriod, quota: cpuQuota };
}

/** The `cell` elements of a machine's nodes, in order. */
export function numaCells({ numa }: Tuning, memory: number): Element[] {
  const sizes = numaMemory(numa, memory);
  return numa
    .map(({ node, cpus }, index) => ({
      '@id': node,
      '@cpus': formatNumberSet(cpus),
      '@memory': Math.ceil((sizes[index] ?? 0) / 1024),
      '@unit': 'KiB',
    }))
    .sort((one, other) => one['@id'] - other['@id']);
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

function kibibytes(bytes: number | undefined): Element | undefined {
  return bytes === undefined ? undefined : { '@unit': 'KiB', '#': Math.ceil(bytes / 1024) };
}

function unlessEmpty(element: Element): Element | undefined {
  return Object.values(element).every((value) => value === undefined) ? undefined : element;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
