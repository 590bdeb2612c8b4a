/** Checks of what is tuned against the rest of the sandbox. What the host has is checked before a start. */
import { option } from '../util/option-names.js';
import { configError, quote } from './errors.js';
import { numaMemory } from './parsers/numa.js';
import { formatNumberSet } from './parsers/number-set.js';
import { KIB, MIB } from './parsers/size.js';
import { checkDiskLimits } from './parsers/tuning.js';
import type { SandboxConfig, Tuning } from './types.js';

/**
 * @throws SandboxError `disk-limit-unknown-tag`, `disk-limit-conflict`, `disk-limit-peak`,
 *   `net-limit-unknown-interface`, `cpu-period-without-quota`, `numa-node-twice`, `numa-node-gap`, `numa-cpus-wrong`,
 *   `numa-memory-wrong`, `memory-limits-wrong`, `huge-pages-misfit`, `io-threads-without-disk`
 */
export function checkTuning(config: SandboxConfig): void {
  checkLimits(config);
  checkPeriod(config.tuning);
  checkNuma(config);
  checkMemoryLimits(config.tuning);
  checkHugePages(config);
  checkIoThreads(config);
}

function checkLimits({ tuning, disks, networks }: SandboxConfig): void {
  for (const { tag } of tuning.diskLimits) {
    if (disks.some((disk) => disk.tag === tag)) continue;
    throw configError(
      'disk-limit-unknown-tag',
      `there is a limit for the disk ${quote(tag)}, and no such disk`,
      `use the tag of a disk (${option('disks')})`,
    );
  }
  for (const { tag } of disks) checkDiskLimits(tuning, tag);
  for (const { index } of tuning.networkLimits) {
    if (index < networks.length) continue;
    throw configError(
      'net-limit-unknown-interface',
      `there is a limit for network interface ${index}, and the sandbox has ${networks.length}`,
      `count the interfaces from 0 in the order of ${option('networks')}`,
    );
  }
}

function checkPeriod({ cpuQuota, cpuPeriod }: Tuning): void {
  if (cpuPeriod === undefined || cpuQuota !== undefined) return;
  throw configError(
    'cpu-period-without-quota',
    `${option('tuning.cpuPeriod')} is the period of a quota, and there is none`,
    `add ${option('tuning.cpuQuota')}, or leave it out`,
  );
}

/** QEMU takes nodes that count from 0, and only if each processor is in one and their memory is that of the machine. */
function checkNuma({ tuning: { numa }, vcpus, memory }: SandboxConfig): void {
  if (numa.length === 0) return;
  const nodes = numa.map(({ node }) => node).sort((a, b) => a - b);
  const twice = nodes.find((node, index) => nodes[index - 1] === node);
  if (twice !== undefined) {
    throw configError('numa-node-twice', `two ${option('tuning.numa')} are for node ${twice}`, 'give each node once');
  }
  const gap = nodes.findIndex((node, index) => node !== index);
  if (gap >= 0) {
    throw configError(
      'numa-node-gap',
      `there is ${option('tuning.numa')} for node ${nodes[gap]}, and none for node ${gap}`,
      'count the nodes from 0',
    );
  }
  checkNodeCpus(numa, vcpus);
  checkNodeMemory(numa, memory);
}

function checkNodeCpus(numa: Tuning['numa'], vcpus: number): void {
  const remedy = `put each of the machine's processors, 0 to ${vcpus - 1} (${option('vcpus')}), in one node`;
  const cpus = numa.flatMap((node) => node.cpus);
  const strange = cpus.find((cpu) => cpu >= vcpus);
  const twice = cpus.find((cpu, index) => cpus.indexOf(cpu) !== index);
  const missing = Array.from({ length: vcpus }, (_, cpu) => cpu).filter((cpu) => !cpus.includes(cpu));
  const wrong = [
    ...(strange === undefined ? [] : [`name processor ${strange}, which the machine does not have`]),
    ...(twice === undefined ? [] : [`have processor ${twice} in two nodes`]),
    ...(missing.length === 0 ? [] : [`have no node for processor ${formatNumberSet(missing)}`]),
  ];
  if (wrong[0] !== undefined) throw configError('numa-cpus-wrong', `the ${option('tuning.numa')} ${wrong[0]}`, remedy);
}

function checkNodeMemory(numa: Tuning['numa'], memory: number): void {
  const each = numaMemory(numa, memory);
  const sum = each.reduce((total, bytes) => total + bytes, 0);
  if (sum === memory && each.every((bytes) => bytes > 0)) return;
  throw configError(
    'numa-memory-wrong',
    `the ${option('tuning.numa')} have ${sizeText(numa.reduce((total, node) => total + (node.memory ?? 0), 0))} of memory, and the machine has ${sizeText(memory)}`,
    `let them have together what ${option('memory')} says, or leave memory= out of one: it gets the rest`,
  );
}

/** The kernel refuses a limit of memory and swap that is below the one of memory, and libvirt says nothing of a soft one. */
function checkMemoryLimits({ memoryLimit, memorySoftLimit, memorySwapLimit }: Tuning): void {
  if (memorySwapLimit !== undefined && memoryLimit === undefined) {
    throw configError(
      'memory-limits-wrong',
      `${option('tuning.memorySwapLimit')} is for memory and swap together, and memory alone has no limit`,
      `add ${option('tuning.memoryLimit')}, no larger than it`,
    );
  }
  const limits = [
    [option('tuning.memorySoftLimit'), memorySoftLimit, option('tuning.memoryLimit'), memoryLimit],
    [option('tuning.memoryLimit'), memoryLimit, option('tuning.memorySwapLimit'), memorySwapLimit],
  ] as const;
  for (const [lower, less, upper, more] of limits) {
    if (less === undefined || more === undefined || less <= more) continue;
    throw configError(
      'memory-limits-wrong',
      `${lower} is ${sizeText(less)}, and ${upper} ${sizeText(more)}`,
      `let ${lower} be no larger than ${upper}`,
    );
  }
}

/** QEMU refuses memory that is no whole number of pages. */
function checkHugePages({ tuning: { hugePages, numa }, memory }: SandboxConfig): void {
  if (typeof hugePages !== 'number') return;
  const parts = numa.length === 0 ? [memory] : numaMemory(numa, memory);
  const misfit = parts.find((bytes) => bytes % hugePages !== 0);
  if (misfit !== undefined) throw hugePagesMisfit(misfit, hugePages);
}

/** The error for memory that is no whole number of huge pages. Both in bytes. */
export function hugePagesMisfit(memory: number, page: number) {
  return configError(
    'huge-pages-misfit',
    `${sizeText(memory)} of memory are no whole number of huge pages of ${sizeText(page)}`,
    `choose another ${option('memory')} (and memory= of each ${option('tuning.numa')}), or smaller ${option('tuning.hugePages')}`,
  );
}

function checkIoThreads({ tuning: { ioThreads }, disks, mounts, overlay }: SandboxConfig): void {
  if (overlay?.type === 'image') return;
  if (ioThreads === undefined || disks.length > 0 || mounts.some(({ type }) => type === 'host-image')) return;
  throw configError(
    'io-threads-without-disk',
    `${option('tuning.ioThreads')} serve disks, and the sandbox has none`,
    `add a disk (${option('disks')}) or an image that is mounted (${option('mounts')}), or leave them out`,
  );
}

function sizeText(bytes: number): string {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}
