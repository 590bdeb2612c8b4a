/** Limits of units that have no effect, from what a systemd says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limitTexts, readLimits } from '../../../../src/service/run/unit-limits.js';

const UNSET =
  'MemoryMin=0\nMemoryMax=infinity\nTasksMax=4915\nCPUWeight=[not set]\nCPUQuotaPerSecUSec=infinity\nAllowedCPUs=\n';
const SET = 'MemoryMin=0\nMemoryMax=31457280\nMemorySwapMax=0\nTasksMax=20\nCPUQuotaPerSecUSec=200ms\nAllowedCPUs=0\n';

const said = (controllers: string, ...blocks: readonly string[]) =>
  `${controllers}\n${['DefaultTasksMax=4915\n', ...blocks].join('\n')}`;

const directives = (text: string) => readLimits(text, ['a.service']).map(({ directive }) => directive);

describe('limits that have no effect', () => {
  it('are those whose controller is missing', () => {
    assert.deepEqual(directives(said('', SET)), ['MemoryMax', 'MemorySwapMax', 'TasksMax', 'CPUQuota', 'AllowedCPUs']);
    assert.deepEqual(directives(said('cpuset cpu memory', SET)), ['TasksMax']);
    assert.deepEqual(directives('cpuset cpu io memory pids\n'), []);
  });

  it('are none that a unit has by default', () => {
    assert.deepEqual(directives(said('', UNSET)), []);
  });

  it('are none where systemd says nothing, or too much', () => {
    assert.deepEqual(directives(''), []);
    assert.deepEqual(directives(said('')), []);
    assert.deepEqual(directives(said('', SET, SET)), []);
  });

  it('are named with the unit, and what helps', () => {
    const limits = readLimits(said('cpu', UNSET, SET), ['a.service', 'b.service']);
    assert.deepEqual(limitTexts(limits, 'container'), [
      'MemoryMax= and MemorySwapMax= of b.service have no effect: the control groups of this container have no controller of version 2 for memory; bound the whole service with --memory, or run it in a machine (-c qemu:///system)',
      'TasksMax= of b.service has no effect: the control groups of this container have no controller of version 2 for the number of processes; run it in a machine (-c qemu:///system)',
      'AllowedCPUs= of b.service has no effect: the control groups of this container have no controller of version 2 for the choice of processors; run it in a machine (-c qemu:///system)',
    ]);
  });
});
