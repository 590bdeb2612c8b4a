/** What is tuned, as groups of sandbox.cfg. */
import { formatCpuScheduler } from '../parsers/cpu-time.js';
import { formatNumberSet } from '../parsers/number-set.js';
import { DISK_LIMITS } from '../parsers/tuning.js';
import type { Bandwidth, Tuning } from '../types.js';
import type { Values } from './format.js';

/** Each group with its keys, in order. The inverse of `readTuning`. */
export function tuningGroups(tuning: Tuning): readonly (readonly [string, Values])[] {
  return [
    ['tuning', singleValues(tuning)],
    ...numbered('numa', tuning.numa, ({ node, cpus, memory, hostNodes }) => ({
      node,
      cpus: formatNumberSet(cpus),
      memory,
      hostnodes: hostNodes && formatNumberSet(hostNodes),
    })),
    ...numbered('disk', tuning.diskLimits, ({ tag, limits }) => ({
      tag,
      ...Object.fromEntries(DISK_LIMITS.map((name) => [name, limits[name]])),
    })),
    ...numbered('network', tuning.networkLimits, ({ index, inbound, outbound }) => ({
      index,
      ...bandwidth('inbound', inbound),
      ...bandwidth('outbound', outbound),
    })),
  ];
}

function singleValues({ cpuPin, cpuScheduler, numaNodes, ...tuning }: Tuning): Values {
  return {
    cpushares: tuning.cpuShares,
    cpupin: cpuPin.length === 0 ? undefined : formatNumberSet(cpuPin),
    cpuquota: tuning.cpuQuota,
    cpuperiod: tuning.cpuPeriod,
    cpuscheduler: cpuScheduler && formatCpuScheduler(cpuScheduler),
    numanodes: numaNodes && `${formatNumberSet(numaNodes.nodes)},mode=${numaNodes.mode}`,
    memorylimit: tuning.memoryLimit,
    memorysoftlimit: tuning.memorySoftLimit,
    memoryswaplimit: tuning.memorySwapLimit,
    hugepages: tuning.hugePages,
    blockweight: tuning.blockWeight,
    iothreads: tuning.ioThreads,
  };
}

function numbered<T>(name: string, items: readonly T[], valuesOf: (item: T) => Values): (readonly [string, Values])[] {
  return items.map((item, index) => [`tuning.${name}.${index}`, valuesOf(item)]);
}

function bandwidth(direction: string, limit: Bandwidth | undefined): Values {
  return {
    [`${direction}.average`]: limit?.average,
    [`${direction}.peak`]: limit?.peak,
    [`${direction}.burst`]: limit?.burst,
  };
}
