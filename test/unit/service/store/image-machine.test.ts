/** The machine that works on the image of a service. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { validateConfig } from '../../../../src/config/validate.js';
import { quietConfig } from '../../../../src/service/store/image-machine.js';

describe('the machine that works on an image', () => {
  for (const [what, options] of [
    ['a disk', { disk: ['file:data=/data.qcow2'], diskLimit: ['data:total_iops_sec=100'] }],
    ['a network', { network: ['dhcp,source=default'], netLimit: ['0:inbound.average=100'] }],
  ] as const)
    it(`starts for a service that limits ${what}`, async () => {
      const config = await configFromOptions({ ...options, command: ['x'] });
      validateConfig(config);
      const quiet = validateConfig(quietConfig(config, '/image.qcow2'), true);
      assert.deepEqual(
        [quiet.disks, quiet.networks, quiet.tuning.diskLimits, quiet.tuning.networkLimits],
        [[], [], [], []],
      );
    });

  it('has the limits of the service, and nothing that others have not', async () => {
    const config = await configFromOptions({
      command: ['x'],
      cpuQuota: '50000',
      memoryLimit: '1G',
      cpuScheduler: 'fifo:10',
      hugePages: '2M',
      ioThreads: '2',
      numa: ['0:cpus=0'],
      disk: ['file:data=/data.qcow2'],
    });
    validateConfig(config);
    const { tuning } = validateConfig(quietConfig(config, '/image.qcow2'), true);
    assert.deepEqual([tuning.cpuQuota, tuning.memoryLimit], [50_000, 2 ** 30]);
    assert.deepEqual(
      [tuning.cpuScheduler, tuning.hugePages, tuning.ioThreads, tuning.numa],
      [undefined, undefined, undefined, []],
    );
    const ofUnit = quietConfig(config, '/image.qcow2', 'qemu:///embed').tuning;
    assert.deepEqual([ofUnit.cpuQuota, ofUnit.memoryLimit], [undefined, undefined]);
  });
});
