/** The options of virt-sandbox(1) that limit a sandbox and place it on the host. */
import type { Detail } from '../program-description.js';

export const tuningDetails = {
  'cpu-shares': {
    value: 'SHARES',
    text: [
      'Sets the share of processor time relative to other domains, 2 to 262144. A domain without it has 1024. It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'cpu-pin': {
    value: 'CPUS',
    text: ['Runs the sandbox only on these processors of the host, such as `0,2-3`. The default is all.'],
  },
  'cpu-quota': {
    value: 'MICROSECONDS',
    text: [
      'Sets how long each processor of the machine may run in each period, 1000 to 17592186044415. Of a container it is all processes together. The other threads of QEMU are not limited. It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'cpu-period': {
    value: 'MICROSECONDS',
    text: ['Sets the period of `--cpu-quota`, 1000 to 1000000. The default is that of the kernel, 100000.'],
  },
  'cpu-scheduler': {
    value: 'SCHEDULER',
    complete: { words: ['batch', 'idle', 'fifo:', 'rr:'] },
    text: [
      "Sets the scheduler of the host's kernel for the processors of the machine (sched(7)): `batch`, `idle`, or with a priority of 1 to 99 `fifo:`*PRIORITY* or `rr:`*PRIORITY*. These two take CAP_SYS_NICE, or a high enough limit `rtprio`, and keep other programs from a processor while the machine computes.",
    ],
  },
  numa: {
    value: 'NODE:cpus=LIST,...',
    text: [
      'Gives the machine a NUMA node. Nodes count from 0. `cpus` are processors of the machine, such as `0-1,3`; each must be in one node. `memory` is MiB, or a number with K, M or G. Nodes without it get equal parts of what the others leave of `--memory`. `host` are nodes of the host: the memory of this one comes from them, and from no others. It may be repeated.',
    ],
  },
  'numa-nodes': {
    value: 'LIST[,mode=MODE]',
    text: [
      'Takes memory from these NUMA nodes of the host. *MODE* is `strict` (the default: from no other), `preferred` (from others if there is none left), `interleave` (in turn), or `restrictive` (by control groups alone, so with `qemu:///system` and `lxc:///`).',
    ],
  },
  'memory-limit': {
    value: 'SIZE',
    text: [
      'Sets the most memory of the host that the sandbox may have: MiB, or a number with K, M or G. Of a machine that is its memory, what QEMU needs itself, and what it caches. A machine that reaches it and has no swap is killed. It works with `qemu:///system` and `lxc:///`, as the next two.',
    ],
  },
  'memory-soft-limit': {
    value: 'SIZE',
    text: [
      'Sets to what the host brings the sandbox down when memory is scarce. It must not be above `--memory-limit`.',
    ],
  },
  'memory-swap-limit': {
    value: 'SIZE',
    text: ['Sets the most memory and swap together. It needs `--memory-limit`, and must not be below it.'],
  },
  'huge-pages': {
    value: 'SIZE',
    complete: { words: ['default', '2M', '1G'] },
    text: [
      "Takes the machine's memory from the huge pages that the host has reserved. *SIZE* is that of a page, such as `2M` or `1G`, or `default`: the size that the kernel prefers.",
    ],
  },
  'block-weight': {
    value: 'WEIGHT',
    text: [
      'Sets the share of disk time relative to other domains, 100 to 1000. It counts on disks whose scheduler knows weights (`bfq`). It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'io-threads': {
    value: 'N',
    text: [
      'Starts *N* threads of QEMU, 1 to 64, that serve the disks and mounted images in turn: the first serves the first disk, and so on. Without it the main thread of QEMU serves all.',
    ],
  },
  'disk-limit': {
    value: 'TAG:LIMIT=N,...',
    text: [
      'Limits the disk *TAG* in bytes or operations a second: `total_bytes_sec`, `read_bytes_sec`, `write_bytes_sec`, `total_iops_sec`, `read_iops_sec`, `write_iops_sec`. Each name with `_max` appended limits a burst; it needs the plain limit too, and must not be smaller. A total excludes its read and write limits.',
    ],
  },
  'net-limit': {
    value: 'N:LIMIT=N,...',
    text: [
      'Limits network interface *N*, counted from 0 in the order of `--network`: `inbound.average` and `inbound.peak` in KiB a second, `inbound.burst` in KiB, and the same three for `outbound`. The interface needs `source`, except in a container.',
    ],
  },
} as const satisfies Readonly<Record<string, Detail>>;
