import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { NO_TUNING } from '../../../../src/config/defaults.js';
import { missingLimits, unitLimits, withoutUnitLimits } from '../../../../src/service/systemd/limits.js';
import { describedService } from '../../../helpers/described-service.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const service = describedService({
  config: { tuning: { ...NO_TUNING, memoryLimit: 1 << 20, cpuQuota: 50_000, cpuPeriod: 200_000, ioThreads: 2 } },
  settings: { connect: 'qemu:///embed' },
});

it('leaves the other tuning to libvirt', () => {
  assert.deepEqual(withoutUnitLimits(service.config), { ...service.config, tuning: { ...NO_TUNING, ioThreads: 2 } });
});

it('names the limits that the control group does not have', (t) => {
  const mount = scratchDirectory(t);
  const missing = (groups = '1:name=systemd:/other\n0::/a/web_sandbox.service\n') =>
    missingLimits(unitLimits(service), groups, mount).map(({ key }) => key);
  assert.deepEqual(missing(), ['MemoryMax', 'CPUQuota']);
  const group = join(mount, 'a/web_sandbox.service');
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'memory.max'), 'max\n');
  writeFileSync(join(group, 'cpu.max'), '50000 200000\n');
  assert.deepEqual(missing(), ['MemoryMax']);
  writeFileSync(join(group, 'memory.max'), '1048576\n');
  assert.deepEqual(missing(), []);
  // Version 1 alone.
  assert.deepEqual(missing('4:memory:/a/web_sandbox.service\n'), ['MemoryMax', 'CPUQuota']);
});
