/** What libvirt's performance tuning is told: https://libvirt.org/formatdomain.html. Sizes are bytes. */

/**
 * Limits of one disk, by the names of libvirt's `iotune` elements: bytes or operations a second. `_max` is the peak of
 * a burst.
 */
export type DiskLimitName =
  | 'total_bytes_sec'
  | 'read_bytes_sec'
  | 'write_bytes_sec'
  | 'total_iops_sec'
  | 'read_iops_sec'
  | 'write_iops_sec'
  | 'total_bytes_sec_max'
  | 'read_bytes_sec_max'
  | 'write_bytes_sec_max'
  | 'total_iops_sec_max'
  | 'read_iops_sec_max'
  | 'write_iops_sec_max';

export interface DiskLimit {
  /** The tag of the disk that is limited. */
  readonly tag: string;
  /** At least one; `total_` excludes `read_` and `write_` of the same unit. */
  readonly limits: Readonly<Partial<Record<DiskLimitName, number>>>;
}

/** One direction of a network interface, as libvirt's `bandwidth` expresses it. */
export interface Bandwidth {
  /** KiB a second. */
  readonly average: number;
  /** KiB a second. */
  readonly peak: number | undefined;
  /** KiB that may go at peak speed. */
  readonly burst: number | undefined;
}

export interface NetworkLimit {
  /** Which interface, counted from 0 in the order of `networks`. */
  readonly index: number;
  /** What the sandbox receives. */
  readonly inbound: Bandwidth | undefined;
  /** What the sandbox sends. */
  readonly outbound: Bandwidth | undefined;
}

/** The scheduler of the host's kernel for virtual CPUs: sched(7). Only the real-time ones have a priority, 1 to 99. */
export type CpuScheduler =
  | { readonly policy: 'fifo' | 'rr'; readonly priority: number }
  | { readonly policy: 'batch' | 'idle' };

/** A NUMA node of the machine. */
export interface NumaNode {
  /** Nodes count from 0. */
  readonly node: number;
  /** Virtual CPUs, ascending, from 0. Each of the machine is in exactly one node. */
  readonly cpus: readonly number[];
  /** A whole number of KiB. Undefined: an equal part of what the other nodes leave of the machine's memory. */
  readonly memory: number | undefined;
  /** The host's nodes that its memory comes from, and no others; undefined: as {@link Tuning.numaNodes} says. */
  readonly hostNodes: readonly number[] | undefined;
}

/** How the host chooses among its nodes: libvirt's `numatune/memory`. */
export type NumaMode = 'strict' | 'interleave' | 'preferred' | 'restrictive';

/** The host's NUMA nodes that the sandbox's memory comes from. */
export interface NumaNodes {
  /** Ascending, at least one. */
  readonly nodes: readonly number[];
  readonly mode: NumaMode;
}

/** What libvirt tunes; by default nothing. */
export interface Tuning {
  /** CPU time relative to other domains, 2 to 262144 (libvirt's `cputune/shares`). */
  readonly cpuShares: number | undefined;
  /** The host's CPUs that every virtual CPU may run on, ascending; empty: all. */
  readonly cpuPin: readonly number[];
  /** Microseconds that a virtual CPU, or a whole container, may run in each period: 1000 to 17592186044415. */
  readonly cpuQuota: number | undefined;
  /** Microseconds, 1000 to 1000000; undefined: the kernel's, 100000. */
  readonly cpuPeriod: number | undefined;
  readonly cpuScheduler: CpuScheduler | undefined;
  /** Memory and virtual CPUs by node; empty: the machine has no nodes. */
  readonly numa: readonly NumaNode[];
  readonly numaNodes: NumaNodes | undefined;
  /** The most memory that the sandbox has of the host, QEMU's own included (libvirt's `memtune/hard_limit`). */
  readonly memoryLimit: number | undefined;
  /** What is left to the sandbox when the host lacks memory (`memtune/soft_limit`). */
  readonly memorySoftLimit: number | undefined;
  /** Memory and swap together (`memtune/swap_hard_limit`). */
  readonly memorySwapLimit: number | undefined;
  /** Back the machine's memory with huge pages of this size; `default`: of the size that the host's kernel prefers. */
  readonly hugePages: number | 'default' | undefined;
  /** The share of disk time relative to other domains, 100 to 1000 (libvirt's `blkiotune/weight`). */
  readonly blockWeight: number | undefined;
  /** How many threads of QEMU serve the disks; undefined: QEMU's main thread does. */
  readonly ioThreads: number | undefined;
  readonly diskLimits: readonly DiskLimit[];
  readonly networkLimits: readonly NetworkLimit[];
}
