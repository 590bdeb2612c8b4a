/** `--cpu-shares`, `--cpu-pin`, the limits of disks and of networks: all in the terms of libvirt. */
import { argumentError, configError, quote } from '../errors.js';
import type { Bandwidth, DiskLimit, DiskLimitName, NetworkLimit, Tuning } from '../types.js';
import { parseWhole } from './number.js';
import { parseNumberSet } from './number-set.js';
import { splitOnce } from './text.js';

/** The range of `cpu.shares`; the kernel clamps other values to it. */
const LEAST_SHARES = 2;
const MOST_SHARES = 262_144;

/** Each also has a peak, `NAME_max`. */
const RATES = [
  'total_bytes_sec',
  'read_bytes_sec',
  'write_bytes_sec',
  'total_iops_sec',
  'read_iops_sec',
  'write_iops_sec',
] as const;

/** Every limit of a disk, in the order of libvirt's documentation and of sandbox.cfg. */
export const DISK_LIMITS: readonly DiskLimitName[] = [...RATES, ...RATES.map((rate) => `${rate}_max` as const)];

/**
 * Reads `--cpu-shares N`: CPU time relative to other domains, 2 to 262144. On cgroup v1 an ordinary domain has 1024.
 * @throws SandboxError `number-invalid`
 */
export function parseCpuShares(text: string): number {
  return parseWhole(text, '--cpu-shares', LEAST_SHARES, MOST_SHARES);
}

/**
 * Reads `--cpu-pin LIST`: the host's CPUs that the sandbox may use, as numbers and ranges: `0-1,3`.
 * @returns the CPUs, ascending, each once
 * @throws SandboxError `cpu-pin-invalid`
 */
export function parseCpuPin(text: string): readonly number[] {
  return parseNumberSet(text, { option: '--cpu-pin', code: 'cpu-pin-invalid', one: 'a CPU', several: 'CPUs' });
}

/** What libvirt's schema of domains has. BFQ, the kernel's scheduler that knows weights, has 1 to 1000. */
export const WEIGHT_RANGE = [100, 1000] as const;

/**
 * Reads `--block-weight N`: disk time relative to other domains, 100 to 1000.
 * @throws SandboxError `number-invalid`
 */
export function parseBlockWeight(text: string): number {
  return parseWhole(text, '--block-weight', ...WEIGHT_RANGE);
}

/** QEMU names each by a number, and a machine has no room for more disks. */
export const IO_THREAD_RANGE = [1, 64] as const;

/**
 * Reads `--io-threads N`: how many threads serve the disks.
 * @throws SandboxError `number-invalid`
 */
export function parseIoThreads(text: string): number {
  return parseWhole(text, '--io-threads', ...IO_THREAD_RANGE);
}

/** The largest rate that QEMU takes, THROTTLE_VALUE_MAX. */
const MOST_RATE = 1e15;

/**
 * Reads `--disk-limit TAG:NAME=N[,NAME=N…]`, where NAME is one of {@link DISK_LIMITS}. Bytes or operations a second.
 * @throws SandboxError `disk-limit-invalid`, `disk-limit-conflict` for a total with its parts, `number-invalid`
 */
export function parseDiskLimit(text: string): DiskLimit {
  const what = `--disk-limit ${quote(text)}`;
  // A tag may contain colons, a limit may not.
  const colon = Math.max(text.lastIndexOf(':'), 0);
  const [tag, list] = [text.slice(0, colon), text.slice(colon + 1)];
  if (tag === '' || list === '') {
    throw argumentError('disk-limit-invalid', `${what} does not name a disk and its limits`, DISK_LIMIT_SYNTAX);
  }
  const limits: Partial<Record<DiskLimitName, number>> = {};
  for (const [name, value] of assignments(list, what, 'disk-limit-invalid', DISK_LIMIT_SYNTAX)) {
    if (!isDiskLimit(name)) {
      throw argumentError('disk-limit-invalid', `${what} has the unknown limit ${quote(name)}`, DISK_LIMIT_SYNTAX);
    }
    limits[name] = parseWhole(value, `${what}, ${name}`, 1, MOST_RATE);
  }
  refuseTotalWithParts(limits, what);
  return { tag, limits };
}

const DISK_LIMIT_SYNTAX = `write TAG:NAME=N,…, where NAME is one of ${DISK_LIMITS.join(', ')}`;

export function isDiskLimit(name: string): name is DiskLimitName {
  return DISK_LIMITS.some((known) => known === name);
}

function refuseTotalWithParts(limits: DiskLimit['limits'], what: string): void {
  const unit = conflictOf(limits);
  if (unit === undefined) return;
  throw argumentError('disk-limit-conflict', `${what} has total_${unit} and a part of it`, eitherOf(unit));
}

/**
 * The unit, such as `bytes_sec`, that has both a total and a read or write limit; libvirt takes only one of the two.
 */
function conflictOf(limits: DiskLimit['limits']) {
  return (['bytes_sec', 'iops_sec', 'bytes_sec_max', 'iops_sec_max'] as const).find(
    (unit) =>
      limits[`total_${unit}`] !== undefined &&
      [limits[`read_${unit}`], limits[`write_${unit}`]].some((part) => part !== undefined),
  );
}

function eitherOf(unit: string): string {
  return `give either total_${unit} or read_${unit} and write_${unit}`;
}

/** All limits of the disk with that tag; undefined if it has none. Of a limit that is given twice the last counts. */
export function diskLimitsOf({ diskLimits }: Tuning, tag: string): DiskLimit['limits'] | undefined {
  const limits = diskLimits.filter((limit) => limit.tag === tag);
  return limits.length === 0 ? undefined : Object.assign({}, ...limits.map((limit) => limit.limits));
}

/**
 * Checks all limits of one disk together: several options, or a file and an option, may have given them.
 * @throws SandboxError `disk-limit-conflict`, `disk-limit-peak`
 */
export function checkDiskLimits(tuning: Tuning, tag: string): void {
  const limits = diskLimitsOf(tuning, tag) ?? {};
  const unit = conflictOf(limits);
  if (unit !== undefined) {
    const message = `the disk ${quote(tag)} has limits for total_${unit} and for a part of it`;
    throw configError('disk-limit-conflict', message, eitherOf(unit));
  }
  checkPeaks(limits, tag);
}

/** QEMU refuses a peak without its rate, and one below its rate. */
function checkPeaks(limits: DiskLimit['limits'], tag: string): void {
  for (const rate of RATES) {
    const [usual, peak] = [limits[rate], limits[`${rate}_max`]];
    if (peak === undefined || (usual !== undefined && usual <= peak)) continue;
    const given = usual === undefined ? `no ${rate}` : `${rate}=${usual}`;
    const message = `the disk ${quote(tag)} has ${rate}_max=${peak} and ${given}`;
    throw configError('disk-limit-peak', message, `give it ${rate} too, no larger than the peak`);
  }
}

const NET_LIMIT_SYNTAX =
  'write N:DIRECTION.NAME=KIB,…, where N counts interfaces from 0, DIRECTION is inbound or outbound ' +
  'and NAME is average, peak or burst';

/** The largest bandwidth that libvirt takes, in KiB a second. */
const MOST_BANDWIDTH = 2_147_483_647;

/**
 * Reads `--net-limit N:inbound.average=KIB[,inbound.peak=KIB][,inbound.burst=KIB][,outbound.…]`. N counts the
 * interfaces from 0 in the order of `--network`.
 * @throws SandboxError `net-limit-invalid` (for a direction without an average too), `number-invalid`
 */
export function parseNetworkLimit(text: string): NetworkLimit {
  const what = `--net-limit ${quote(text)}`;
  const [index, list] = splitOnce(text, ':') ?? [text, ''];
  const values = new Map<string, number>();
  for (const [name, value] of assignments(list, what, 'net-limit-invalid', NET_LIMIT_SYNTAX)) {
    if (!/^(inbound|outbound)\.(average|peak|burst)$/.test(name)) {
      throw argumentError('net-limit-invalid', `${what} has the unknown limit ${quote(name)}`, NET_LIMIT_SYNTAX);
    }
    values.set(name, parseWhole(value, `${what}, ${name}`, 1, MOST_BANDWIDTH));
  }
  return {
    index: parseWhole(index, `${what}, the interface`, 0, 255),
    inbound: direction('inbound', values, what),
    outbound: direction('outbound', values, what),
  };
}

function direction(name: string, values: ReadonlyMap<string, number>, what: string): Bandwidth | undefined {
  const [average, peak, burst] = ['average', 'peak', 'burst'].map((part) => values.get(`${name}.${part}`));
  if (average !== undefined) return { average, peak, burst };
  if (peak === undefined && burst === undefined) return undefined;
  throw argumentError(
    'net-limit-invalid',
    `${what} has no ${name}.average`,
    `add ${name}.average, which libvirt needs`,
  );
}

function assignments(list: string, what: string, code: string, syntax: string): readonly (readonly [string, string])[] {
  return list.split(',').map((part) => {
    const assignment = splitOnce(part, '=');
    if (assignment === undefined) {
      throw argumentError(code, `${what} has ${quote(part)} where NAME=N belongs`, syntax);
    }
    return assignment;
  });
}
