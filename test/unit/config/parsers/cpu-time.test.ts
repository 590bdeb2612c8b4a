/** The grammar of quotas, periods and schedulers of CPUs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatCpuScheduler,
  parseCpuPeriod,
  parseCpuQuota,
  parseCpuScheduler,
} from '../../../../src/config/parsers/cpu-time.js';
import { refuses } from '../support.js';

test('CPU quotas and periods', async () => {
  assert.equal(parseCpuQuota('1000'), 1000);
  assert.equal(parseCpuQuota('17592186044415'), 17_592_186_044_415);
  assert.equal(parseCpuPeriod('1000'), 1000);
  assert.equal(parseCpuPeriod('1000000'), 1_000_000);
  for (const text of ['999', '17592186044416', '-1', '5ms', '']) {
    await refuses(() => parseCpuQuota(text), 'arguments', 'number-invalid', '--cpu-quota', JSON.stringify(text));
  }
  for (const text of ['999', '1000001']) {
    await refuses(() => parseCpuPeriod(text), 'arguments', 'number-invalid', '--cpu-period', JSON.stringify(text));
  }
});

test('schedulers', async () => {
  for (const [text, scheduler] of [
    ['batch', { policy: 'batch' }],
    ['idle', { policy: 'idle' }],
    ['fifo:1', { policy: 'fifo', priority: 1 }],
    ['rr:99', { policy: 'rr', priority: 99 }],
  ] as const) {
    assert.deepEqual(parseCpuScheduler(text), scheduler);
    assert.equal(formatCpuScheduler(scheduler), text);
  }
  for (const text of ['', 'fifo', 'rr', 'batch:1', 'idle:', 'other', 'deadline:1', ':1']) {
    await refuses(() => parseCpuScheduler(text), 'arguments', 'cpu-scheduler-invalid', JSON.stringify(text));
  }
  for (const [text, priority] of [
    ['fifo:0', '"0"'],
    ['fifo:100', '"100"'],
    ['rr:', '""'],
    ['rr:1:2', '"1:2"'],
  ] as const) {
    await refuses(() => parseCpuScheduler(text), 'arguments', 'number-invalid', '--cpu-scheduler', priority);
  }
});
