/** Tuning that does not fit the rest of the sandbox. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../src/config/options.js';
import { refuses, testUsers } from './support.js';

const command = ['true'];
const DISK = { disk: ['file:a=/x.img'] };

const WRONG: readonly (readonly [ConfigOptions, string, ...string[]])[] = [
  [{ cpuPeriod: '1000' }, 'cpu-period-without-quota', '--cpu-period'],
  [{ numa: ['0:cpus=0', '0:cpus=0'] }, 'numa-node-twice', 'node 0'],
  [{ numa: ['1:cpus=0'] }, 'numa-node-gap', 'node 1', 'none for node 0'],
  [{ vcpus: '2', numa: ['2:cpus=0', '0:cpus=1'] }, 'numa-node-gap', 'node 2', 'none for node 1'],
  [{ vcpus: '2', numa: ['0:cpus=0-2'] }, 'numa-cpus-wrong', 'name processor 2'],
  [{ vcpus: '2', numa: ['0:cpus=0-1', '1:cpus=1'] }, 'numa-cpus-wrong', 'processor 1 in two nodes'],
  [{ vcpus: '5', numa: ['0:cpus=0', '1:cpus=3'] }, 'numa-cpus-wrong', 'no node for processor 1-2,4'],
  [{ numa: ['0:cpus=0,memory=100'] }, 'numa-memory-wrong', '100 MiB', '512 MiB'],
  [{ vcpus: '2', numa: ['0:cpus=0,memory=512', '1:cpus=1'] }, 'numa-memory-wrong', '512 MiB of memory'],
  [{ vcpus: '2', numa: ['0:cpus=0,memory=600', '1:cpus=1'] }, 'numa-memory-wrong', '600 MiB'],
  [{ memorySoftLimit: '2G', memoryLimit: '1G' }, 'memory-limits-wrong', '--memory-soft-limit is 2048 MiB'],
  [{ memorySwapLimit: '1G', memoryLimit: '2G' }, 'memory-limits-wrong', '--memory-swap-limit 1024 MiB'],
  [{ memorySwapLimit: '1G' }, 'memory-limits-wrong', '--memory-swap-limit'],
  [{ hugePages: '1G' }, 'huge-pages-misfit', '512 MiB', '1024 MiB'],
  [
    { hugePages: '2M', vcpus: '2', numa: ['0:cpus=0,memory=255', '1:cpus=1'] },
    'huge-pages-misfit',
    '255 MiB of memory',
  ],
  [{ ioThreads: '1' }, 'io-threads-without-disk', '--io-threads'],
];

describe('tuning that fits nothing', () => {
  for (const [options, code, ...names] of WRONG) {
    it(JSON.stringify(options), async (t) => {
      const users = await testUsers(t);
      await refuses(() => configFromOptions({ command, ...options }, users), 'config', code, ...names);
    });
  }
});

it('tuning that fits', async (t) => {
  const users = await testUsers(t);
  for (const options of [
    { cpuPeriod: '1000', cpuQuota: '1000' },
    { vcpus: '3', numa: ['1:cpus=1', '0:cpus=0,2,memory=12M'] },
    { memory: '1G', hugePages: '1G' },
    { hugePages: 'default' },
    { memorySoftLimit: '1G', memoryLimit: '1G', memorySwapLimit: '1G' },
    { ...DISK, ioThreads: '9' },
    { mount: ['host-image:/a=/x.img'], ioThreads: '1' },
  ] satisfies ConfigOptions[]) {
    assert.ok(await configFromOptions({ command, ...options }, users));
  }
});
