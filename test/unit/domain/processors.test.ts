/** Kernel arguments for processors: late CPUs and loops per jiffy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterKilohertz, lateProcessors, loopsPerTick, processorArguments } from '../../../src/domain/processors.js';

test('secondary CPUs come late under TCG only', () => {
  assert.equal(lateProcessors(4, 'tcg'), 3);
  assert.equal(lateProcessors(1, 'tcg'), 0);
  assert.equal(lateProcessors(4, 'kvm'), 0);
});

const NOTHING = { clocks: '', cpuinfo: '' };
const CPUINFO = 'cpu MHz\t\t: 800.000\nbogomips\t: 5192.25\n';

test('the kernel gets maxcpus=1 when there are late CPUs', () => {
  assert.equal(processorArguments(2, 'tcg', NOTHING)[0], 'maxcpus=1');
  assert.deepEqual(processorArguments(1, 'tcg', NOTHING), []);
  assert.deepEqual(processorArguments(2, 'kvm', NOTHING), []);
});

test('an emulated CPU has the counter of the host, which the kernel believes where the host does', () => {
  const believed = ['tsc=reliable', 'tsc_early_khz=2600000'];
  const of = (clocks: string, cpuinfo = CPUINFO) => processorArguments(1, 'tcg', { clocks, cpuinfo });
  assert.deepEqual(of('kvm-clock tsc acpi_pm \n'), believed);
  assert.deepEqual(processorArguments(2, 'tcg', { clocks: 'tsc', cpuinfo: CPUINFO }).slice(0, 2), believed);
  assert.deepEqual(of('hpet acpi_pm \n'), []);
  assert.deepEqual(processorArguments(1, 'kvm', { clocks: 'tsc hpet \n', cpuinfo: CPUINFO }), []);
  // A kernel that measures how fast it is may be wrong by any factor.
  assert.deepEqual(of('tsc', 'processor\t: 0\n'), []);
});

test('the counter of a host is the same number on each start', () => {
  for (const bogomips of ['5192.25', '5190.33', '5200.00'])
    assert.equal(counterKilohertz(`bogomips\t: ${bogomips}\n`), 2_600_000);
  assert.equal(counterKilohertz('bogomips\t: 3.00\n'), 10_000);
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
