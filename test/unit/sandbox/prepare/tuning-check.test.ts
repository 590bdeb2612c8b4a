/** Tuning that the driver or the host does not have. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import type { ConnectionKind } from '../../../../src/libvirt/connection.js';
import { checkTuningHere } from '../../../../src/sandbox/prepare/tuning-check.js';
import { refuses } from '../../config/support.js';

const DISK = { disk: ['file:a=/x.img'] };
const check = async (options: ConfigOptions, kind: ConnectionKind) =>
  checkTuningHere(await configFromOptions({ command: ['true'], ...options }), kind);

const GROUPS = 'takes control groups, and qemu:///';
const WRONG: readonly (readonly [ConnectionKind, ConfigOptions, string, ...string[]])[] = [
  ['session', { cpuShares: '300' }, 'limit-needs-system', `--cpu-shares ${GROUPS}session makes none`],
  ['embedded', { cpuQuota: '5000' }, 'limit-needs-system', `--cpu-quota ${GROUPS}embed makes none`],
  ['session', { memoryLimit: '1G' }, 'limit-needs-system', `--memory-limit ${GROUPS}session`],
  ['embedded', { memorySoftLimit: '1G' }, 'limit-needs-system', `--memory-soft-limit ${GROUPS}embed`],
  ['session', { blockWeight: '100' }, 'limit-needs-system', `--block-weight ${GROUPS}session`],
  ['embedded', { numaNodes: '0,mode=restrictive' }, 'limit-needs-system', '--numa-nodes with mode=restrictive'],
  ['embedded', { numaNodes: '0,8000' }, 'node-not-there', '--numa-nodes names node 8000'],
  ['system', { numa: ['0:cpus=0,host=8000'] }, 'node-not-there', "--numa 0 names the host's node 8000"],
  ['system', { cpuPin: '0,8000' }, 'cpu-not-there', '--cpu-pin names CPU 8000'],
  ['embedded', { hugePages: '64K' }, 'huge-pages-unknown', 'no huge pages of 64K'],
  ['system', { hugePages: '2M', memory: '1048576G' }, 'huge-pages-missing', '--huge-pages takes 536870912 pages of 2M'],
  ['lxc', { cpuScheduler: 'batch' }, 'tuning-needs-machine', '--cpu-scheduler', 'lxc:///'],
  ['lxc', { numa: ['0:cpus=0'] }, 'tuning-needs-machine', '--numa ', 'lxc:///'],
  ['lxc', { hugePages: 'default' }, 'tuning-needs-machine', '--huge-pages', 'lxc:///'],
  ['lxc', { ...DISK, ioThreads: '1' }, 'tuning-needs-machine', '--io-threads', 'lxc:///'],
  ['lxc', { ...DISK, diskLimit: ['a:total_iops_sec=1'] }, 'disk-limit-needs-machine', '--disk-limit a'],
];

describe('tuning that cannot be had', () => {
  for (const [kind, options, code, ...names] of WRONG) {
    const isOfHost = code.startsWith('huge-pages') && !existsSync('/sys/kernel/mm/hugepages/hugepages-2048kB');
    it(
      `${kind}: ${JSON.stringify(options)}`,
      { skip: isOfHost && 'the kernel of this host has no huge pages of 2M' },
      () => refuses(() => check(options, kind), 'config', code, ...names),
    );
  }
});

it('tuning that needs no control groups is accepted without them', async () => {
  const options = { cpuScheduler: 'batch', numa: ['0:cpus=0'], numaNodes: '0', ...DISK, ioThreads: '2' };
  for (const kind of ['embedded', 'session', 'system'] as const) assert.equal(await check(options, kind), undefined);
});
