/** Refuses tuning that the driver or the host does not have, in the words of the options. */

import type { SandboxConfig, Tuning } from '../../config/types.js';
import { type ConnectionKind, URI } from '../../libvirt/connection.js';
import { type Controller, hasController } from '../../util/control-groups.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { readIfThere } from '../../util/small-files.js';
import { mostRealTimePriority } from '../devices/capabilities.js';
import { checkHugePagesHere } from './huge-pages.js';

/**
 * @throws {SandboxError} `disk-limit-needs-machine`, `tuning-needs-machine`, `limit-needs-system`, `cgroup-missing`,
 *   `cpu-not-there`, `node-not-there`, `scheduler-not-allowed`, and what {@link checkHugePagesHere} throws
 */
export function checkTuningHere(config: SandboxConfig, kind: ConnectionKind): void {
  const { tuning } = config;
  if (kind === 'lxc') refuseForContainers(tuning);
  refuseWithoutGroups(tuning, kind);
  refuseScheduler(tuning, kind);
  refuseMissing(tuning);
  checkHugePagesHere(config);
}

/** libvirt ignores these for a container. */
function refuseForContainers(tuning: Tuning): void {
  const [limit] = tuning.diskLimits;
  if (limit !== undefined) {
    throw refusal(
      'disk-limit-needs-machine',
      `${option('tuning.diskLimits')} ${limit.tag} is for a disk of a container, which libvirt cannot limit`,
      'use a virtual machine, or leave the limit out',
    );
  }
  const ofMachines = [
    [tuning.cpuScheduler, `${option('tuning.cpuScheduler')} is for the processors of a machine`],
    [tuning.numa[0], `${option('tuning.numa')} gives nodes to a machine`],
    [tuning.hugePages, `${option('tuning.hugePages')} are for the memory of a machine`],
    [tuning.ioThreads, `${option('tuning.ioThreads')} serve the disks of a machine`],
  ] as const;
  const asked = ofMachines.find(([value]) => value !== undefined);
  if (asked === undefined) return;
  throw refusal(
    'tuning-needs-machine',
    `${asked[1]}, and ${URI.lxc} starts a container`,
    'use a virtual machine, or leave it out',
  );
}

/** What takes control groups, by option. */
function groupTuning(tuning: Tuning): readonly (readonly [string, Controller])[] {
  const all = [
    [tuning.cpuShares, option('tuning.cpuShares'), 'cpu'],
    [tuning.cpuQuota, option('tuning.cpuQuota'), 'cpu'],
    [tuning.memoryLimit, option('tuning.memoryLimit'), 'memory'],
    [tuning.memorySoftLimit, option('tuning.memorySoftLimit'), 'memory'],
    [tuning.blockWeight, option('tuning.blockWeight'), 'blkio'],
    [
      tuning.numaNodes?.mode === 'restrictive' || undefined,
      `${option('tuning.numaNodes')} with mode=restrictive`,
      'cpuset',
    ],
  ] as const;
  return all.filter(([value]) => value !== undefined).map(([, name, controller]) => [name, controller]);
}

/** Where libvirt makes no control groups it ignores some of these and fails for others. */
function refuseWithoutGroups(tuning: Tuning, kind: ConnectionKind): void {
  for (const [name, controller] of groupTuning(tuning)) {
    if (kind !== 'system' && kind !== 'lxc') {
      throw refusal(
        'limit-needs-system',
        `${name} takes control groups, and ${URI[kind]} makes none`,
        `use ${option('connect', 'qemu:///system')}, or leave it out`,
      );
    }
    if (hasController(controller)) continue;
    throw refusal(
      'cgroup-missing',
      `${name} takes the ${controller} controller of control groups, which is not mounted on this host`,
      `mount it (mount -t cgroup -o ${controller} ${controller} DIR, or the unified hierarchy with it enabled) and ` +
        'restart libvirtd, or leave it out',
    );
  }
}

/** A daemon of root's has its own capabilities: what it is not allowed is its error (src/libvirt/errors.ts). */
function refuseScheduler({ cpuScheduler }: Tuning, kind: ConnectionKind): void {
  if (cpuScheduler === undefined || !('priority' in cpuScheduler) || kind === 'system') return;
  const most = mostRealTimePriority();
  if (cpuScheduler.priority <= most) return;
  throw refusal(
    'scheduler-not-allowed',
    `${option('tuning.cpuScheduler')} ${cpuScheduler.policy}:${cpuScheduler.priority} takes CAP_SYS_NICE, and you may use real-time priorities ` +
      (most === 0 ? 'not at all' : `up to ${most}`),
    'run it as root, raise your limit rtprio (limits.conf(5)), or use batch or idle',
  );
}

/** Memory comes from nodes that have some. */
const NODES = '/sys/devices/system/node/has_memory';

/** Refuses CPUs and nodes of the host that it does not have. */
function refuseMissing({ cpuPin, numaNodes, numa }: Tuning): void {
  refuseMissingOf('cpu-not-there', `${option('tuning.cpuPin')} names CPU`, cpuPin, '/sys/devices/system/cpu/online');
  refuseMissingOf('node-not-there', `${option('tuning.numaNodes')} names node`, numaNodes?.nodes ?? [], NODES);
  for (const { node, hostNodes = [] } of numa) {
    refuseMissingOf('node-not-there', `${option('tuning.numa')} ${node} names the host's node`, hostNodes, NODES);
  }
}

function refuseMissingOf(code: string, what: string, wanted: readonly number[], file: string): void {
  const isPresent = wanted.length === 0 ? undefined : membersOf(file);
  const missing = wanted.find((number) => isPresent?.(number) === false);
  if (missing === undefined) return;
  throw refusal(code, `${what} ${missing}, which this host does not have`, `name one of ${file}`);
}

/** Tells whether a number is in a set of the kernel's; undefined if the kernel does not say. */
function membersOf(file: string): ((number: number) => boolean) | undefined {
  const ranges = (readIfThere(file) ?? '')
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => part.split('-').map(Number));
  if (ranges.length === 0) return undefined;
  return (number) => ranges.some(([first = 0, last = first]) => number >= first && number <= last);
}

function refusal(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy });
}
