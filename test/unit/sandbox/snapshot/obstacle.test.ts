/** Which tuning keeps a sandbox from a snapshot, and which keeps its machine from running before libvirt is done. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import { mayRunEarly } from '../../../../src/sandbox/devices/early-run.js';
import { snapshotObstacle } from '../../../../src/sandbox/snapshot/machine.js';

const DISK = { disk: ['file:a=/x.img'] };

/** Options, whether the machine may run early, and why no snapshot serves. */
const TABLE: readonly (readonly [ConfigOptions, boolean, RegExp | undefined])[] = [
  [{}, true, undefined],
  [{ ...DISK, ioThreads: '1' }, true, undefined],
  [{ sound: true }, true, /it has a sound card, which QEMU cannot save/],
  [{ numa: ['0:cpus=0'] }, true, /--numa, and the machine of a snapshot has no nodes/],
  [{ hugePages: '2M' }, true, /--huge-pages, and the memory of a snapshot is a file/],
  [{ numaNodes: '0' }, false, /--numa-nodes, and the memory of a snapshot is where the host has read it/],
  [{ cpuShares: '9' }, false, undefined],
  [{ cpuPin: '0' }, false, undefined],
  [{ cpuQuota: '1000' }, false, undefined],
  [{ cpuScheduler: 'idle' }, false, undefined],
  [{ memoryLimit: '1G' }, false, undefined],
  [{ memorySoftLimit: '1G' }, false, undefined],
  [{ blockWeight: '100' }, false, undefined],
  [{ ...DISK, diskLimit: ['a:total_iops_sec=1'] }, false, undefined],
  [{ network: ['dhcp'], netLimit: ['0:inbound.average=1'] }, false, undefined],
];

describe('a sandbox with', () => {
  for (const [options, early, obstacle] of TABLE) {
    it(JSON.stringify(options), async () => {
      const config = await configFromOptions({ command: ['true'], ...options });
      assert.equal(mayRunEarly(config), early);
      const found = snapshotObstacle(config, { shares: [] });
      if (obstacle === undefined) assert.equal(found, undefined);
      else assert.match(found ?? '', obstacle);
    });
  }
});
