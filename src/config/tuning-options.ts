/** The options that tune: what libvirt's `cputune`, `numatune`, `memtune`, `blkiotune`, `iotune` and others are told. */
import { parseCpuPeriod, parseCpuQuota, parseCpuScheduler } from './parsers/cpu-time.js';
import { parseHugePages, parseMemoryLimit } from './parsers/memory-tuning.js';
import { parseNumaNode, parseNumaNodes } from './parsers/numa.js';
import {
  parseBlockWeight,
  parseCpuPin,
  parseCpuShares,
  parseDiskLimit,
  parseIoThreads,
  parseNetworkLimit,
} from './parsers/tuning.js';
import type { Tuning } from './tuning-types.js';

/** Values of options, by long name in camel case. Undefined means not given. */
export interface TuningOptions {
  readonly cpuShares?: string | undefined;
  readonly cpuPin?: string | undefined;
  /** Microseconds, as the period. */
  readonly cpuQuota?: string | undefined;
  readonly cpuPeriod?: string | undefined;
  readonly cpuScheduler?: string | undefined;
  readonly numa?: readonly string[] | undefined;
  readonly numaNodes?: string | undefined;
  /** MiB, or with a suffix, as the two limits below it. */
  readonly memoryLimit?: string | undefined;
  readonly memorySoftLimit?: string | undefined;
  readonly memorySwapLimit?: string | undefined;
  readonly hugePages?: string | undefined;
  readonly blockWeight?: string | undefined;
  readonly ioThreads?: string | undefined;
  readonly diskLimit?: readonly string[] | undefined;
  readonly netLimit?: readonly string[] | undefined;
}

/**
 * What the options make of `base`: what is not given stays, and options that repeat add to it.
 * @throws SandboxError of stage `arguments` from each option's own parser
 */
export function tuningFromOptions(options: TuningOptions, base: Tuning): Tuning {
  return {
    cpuShares: optional(options.cpuShares, parseCpuShares) ?? base.cpuShares,
    cpuPin: optional(options.cpuPin, parseCpuPin) ?? base.cpuPin,
    cpuQuota: optional(options.cpuQuota, parseCpuQuota) ?? base.cpuQuota,
    cpuPeriod: optional(options.cpuPeriod, parseCpuPeriod) ?? base.cpuPeriod,
    cpuScheduler: optional(options.cpuScheduler, parseCpuScheduler) ?? base.cpuScheduler,
    numa: [...base.numa, ...(options.numa ?? []).map(parseNumaNode)],
    numaNodes: optional(options.numaNodes, parseNumaNodes) ?? base.numaNodes,
    memoryLimit: memoryLimit(options.memoryLimit, '--memory-limit') ?? base.memoryLimit,
    memorySoftLimit: memoryLimit(options.memorySoftLimit, '--memory-soft-limit') ?? base.memorySoftLimit,
    memorySwapLimit: memoryLimit(options.memorySwapLimit, '--memory-swap-limit') ?? base.memorySwapLimit,
    hugePages: optional(options.hugePages, parseHugePages) ?? base.hugePages,
    blockWeight: optional(options.blockWeight, parseBlockWeight) ?? base.blockWeight,
    ioThreads: optional(options.ioThreads, parseIoThreads) ?? base.ioThreads,
    diskLimits: [...base.diskLimits, ...(options.diskLimit ?? []).map(parseDiskLimit)],
    networkLimits: [...base.networkLimits, ...(options.netLimit ?? []).map(parseNetworkLimit)],
  };
}

function memoryLimit(text: string | undefined, option: string): number | undefined {
  return optional(text, (given) => parseMemoryLimit(given, option));
}

function optional<T>(value: string | undefined, read: (text: string) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}
