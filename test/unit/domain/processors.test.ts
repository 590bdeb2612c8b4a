/** Kernel arguments for processors: late CPUs and loops per jiffy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lateProcessors, loopsPerTick, processorArguments } from '../../../src/domain/processors.js';

test('secondary CPUs come late under TCG only', () => {
  assert.equal(lateProcessors(4, 'tcg'), 3);
  assert.equal(lateProcessors(1, 'tcg'), 0);
  assert.equal(lateProcessors(4, 'kvm'), 0);
});

test('the kernel gets maxcpus=1 when there are late CPUs', () => {
  assert.equal(processorArguments(2, 'tcg', '')[0], 'maxcpus=1');
  assert.deepEqual(processorArguments(1, 'tcg', ''), []);
  assert.deepEqual(processorArguments(2, 'kvm', ''), []);
});

test('an emulated CPU has the counter of the host, which the kernel believes where the host does', () => {
  assert.deepEqual(processorArguments(1, 'tcg', 'kvm-clock tsc acpi_pm \n'), ['tsc=reliable']);
  assert.equal(processorArguments(2, 'tcg', 'tsc')[0], 'tsc=reliable');
  assert.deepEqual(processorArguments(1, 'tcg', 'hpet acpi_pm \n'), []);
  assert.deepEqual(processorArguments(1, 'kvm', 'tsc hpet \n'), []);
});

const COUNTED: [string, string, number | undefined][] = [
  ['as counted on one start', 'flags\t\t: fpu\nbogomips\t: 5192.25\nbogomips\t: 5000.00\n', 10_400_000],
  ['as counted on another', 'bogomips\t: 5190.33\n', 10_400_000],
  ['a slow one', 'bogomips\t: 3.00\n', 100_000],
  ['of a host that does not count', 'processor\t: 0\n', undefined],
  ['of a host that counts none', 'bogomips\t: 0.00\n', undefined],
];
for (const [name, cpuinfo, loops] of COUNTED)
  test(`loops per jiffy, ${name}`, () => assert.equal(loopsPerTick(cpuinfo), loops));
