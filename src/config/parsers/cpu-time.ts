/** `--cpu-quota`, `--cpu-period` and `--cpu-scheduler`: when virtual CPUs run, in the terms of libvirt's `cputune`. */
import { argumentError, quote } from '../errors.js';
import type { CpuScheduler } from '../types.js';
import { parseWhole } from './number.js';
import { splitOnce } from './text.js';

/** Microseconds that libvirt takes: VIR_CGROUP_CPU_QUOTA_MIN and its neighbours in src/util/vircgroup.h. */
export const QUOTA_RANGE = [1000, 17_592_186_044_415] as const;
export const PERIOD_RANGE = [1000, 1_000_000] as const;

/** Priorities of the real-time schedulers: sched(7). */
export const PRIORITY_RANGE = [1, 99] as const;

/**
 * Reads `--cpu-quota MICROSECONDS`: how long a virtual CPU, or a whole container, may run in each period.
 * @throws SandboxError `number-invalid`
 */
export function parseCpuQuota(text: string): number {
  return parseWhole(text, '--cpu-quota', ...QUOTA_RANGE);
}

/**
 * Reads `--cpu-period MICROSECONDS`, the period of the quota.
 * @throws SandboxError `number-invalid`
 */
export function parseCpuPeriod(text: string): number {
  return parseWhole(text, '--cpu-period', ...PERIOD_RANGE);
}

/**
 * Reads `--cpu-scheduler fifo:PRIORITY|rr:PRIORITY|batch|idle`.
 * @throws SandboxError `cpu-scheduler-invalid`, `number-invalid` for a priority that is none
 */
export function parseCpuScheduler(text: string): CpuScheduler {
  const [policy, priority] = splitOnce(text, ':') ?? [text, undefined];
  if ((policy === 'batch' || policy === 'idle') && priority === undefined) return { policy };
  if ((policy === 'fifo' || policy === 'rr') && priority !== undefined) {
    return { policy, priority: parseWhole(priority, `--cpu-scheduler ${policy}`, ...PRIORITY_RANGE) };
  }
  throw argumentError(
    'cpu-scheduler-invalid',
    `--cpu-scheduler cannot be ${quote(text)}`,
    'write fifo:PRIORITY, rr:PRIORITY, batch or idle; only the first two have a priority, 1 to 99',
  );
}

/** The inverse of {@link parseCpuScheduler}. */
export function formatCpuScheduler(scheduler: CpuScheduler): string {
  return 'priority' in scheduler ? `${scheduler.policy}:${scheduler.priority}` : scheduler.policy;
}
