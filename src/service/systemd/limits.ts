/**
 * Limits of a machine that are those of its unit. Over the embedded driver libvirt makes no control group, and QEMU is
 * in that of the process which holds the service. systemd.resource-control(5)
 */
import { join } from 'node:path';
import type { SandboxConfig } from '../../config/types.js';
import { URI } from '../../libvirt/connection.js';
import { readIfThere } from '../../util/small-files.js';
import type { Service } from '../types.js';

/** A setting of the unit. */
export interface UnitLimit {
  readonly key: string;
  readonly value: string;
  /** The file of the control group that has it, and `max` without it. */
  readonly file?: string;
}

/** Microseconds: the kernel's. */
const PERIOD = 100_000;

/** Per cent: systemd takes some more, and no host has as many processors. */
const MOST_PER_CENT = 20_000_000;

/** Whether the unit has them, and libvirt would refuse them. */
export function limitsAreOfUnit(connect: string | undefined): boolean {
  return connect?.startsWith(URI.embedded) === true;
}

/** The limits that a unit has for its service; without a URI in its file the service may get a control group of its own. */
export function unitLimits({ config, settings }: Pick<Service, 'config' | 'settings'>): readonly UnitLimit[] {
  if (!limitsAreOfUnit(settings.connect)) return [];
  const { tuning, vcpus } = config;
  const { memoryLimit, memorySoftLimit, memorySwapLimit, cpuQuota, cpuPeriod } = tuning;
  const limits: UnitLimit[] = [];
  if (memorySoftLimit !== undefined)
    limits.push({ key: 'MemoryHigh', value: String(memorySoftLimit), file: 'memory.high' });
  if (memoryLimit !== undefined) limits.push({ key: 'MemoryMax', value: String(memoryLimit), file: 'memory.max' });
  if (memoryLimit !== undefined && memorySwapLimit !== undefined)
    limits.push({ key: 'MemorySwapMax', value: String(memorySwapLimit - memoryLimit), file: 'memory.swap.max' });
  if (cpuQuota !== undefined) {
    // That of libvirt is of each processor of the machine.
    const perCent = Math.min((cpuQuota / (cpuPeriod ?? PERIOD)) * vcpus * 100, MOST_PER_CENT);
    limits.push({ key: 'CPUQuota', value: `${Math.ceil(perCent * 100) / 100}%`, file: 'cpu.max' });
    if (cpuPeriod !== undefined) limits.push({ key: 'CPUQuotaPeriodSec', value: `${cpuPeriod}us` });
  }
  return limits;
}

/** What is left to libvirt where the unit has the limits. */
export function withoutUnitLimits(config: SandboxConfig): SandboxConfig {
  const limits = {
    memoryLimit: undefined,
    memorySoftLimit: undefined,
    memorySwapLimit: undefined,
    cpuQuota: undefined,
    cpuPeriod: undefined,
  };
  return { ...config, tuning: { ...config.tuning, ...limits } };
}

/**
 * Those that the control group of this process does not have.
 * @param groups `/proc/self/cgroup`
 * @param mount where control groups of version 2 are
 */
export function missingLimits(
  limits: readonly UnitLimit[],
  groups = readIfThere('/proc/self/cgroup') ?? '',
  mount = '/sys/fs/cgroup',
): readonly UnitLimit[] {
  const [, group] = /^0::(.*)$/m.exec(groups) ?? [];
  return limits.filter(({ file }) => {
    if (file === undefined) return false;
    const value = group === undefined ? undefined : readIfThere(join(mount, group, file));
    return value === undefined || value.startsWith('max');
  });
}
