/** Where instructions cannot be counted, and what to do there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { optionOf, refuseCounting } from '../../../../src/bench/run/variant.js';

describe('counting instructions', () => {
  for (const [options, why] of [
    [['--accel', 'kvm'], /under KVM the guest runs on the processor, where only QEMU’s emulator counts.*--accel kvm/],
    [['--accel=kvm'], /under KVM/],
    [['--require-kvm'], /under KVM/],
    [['--boot', 'warm'], /a warm start boots no kernel; measure its time/],
    [['-c', 'lxc:///'], /a container has no kernel of its own; measure its time/],
  ] as const) {
    it(`is refused for ${options.join(' ')}`, () => assert.throws(() => refuseCounting(options), why));
  }

  it('is done where the last word is emulation', () => {
    assert.doesNotThrow(() => refuseCounting(['--accel', 'kvm', '--accel', 'tcg', '--boot', 'cold']));
    assert.doesNotThrow(() => refuseCounting([]));
  });
});

it('an option has the last value that it is given, in one word or two', () => {
  assert.equal(optionOf(['--boot', 'warm', '--boot=cold'], 'boot'), 'cold');
  assert.equal(optionOf(['--boot=cold', '--boot', 'warm'], 'boot'), 'warm');
  assert.equal(optionOf(['--bootstrap=cold', 'warm'], 'boot'), undefined);
});
