/** Values in QEMU's arguments. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstOptionIn, optionValue } from '../../../src/util/qemu-options.js';

describe("a value in QEMU's arguments", () => {
  for (const value of ['plain', 'a,b', ',', ',,', 'a,', ',debug-threads=on', ''])
    it(`is read as it was written: '${value}'`, () => {
      assert.equal(firstOptionIn(`guest=${optionValue(value)},debug-threads=on`, 'guest'), value);
      assert.equal(firstOptionIn(`guest=${optionValue(value)}`, 'guest'), value);
    });

  it('is that of the option alone', () => {
    assert.equal(firstOptionIn('guests=one', 'guest'), undefined);
    assert.equal(firstOptionIn('id=a,guest=b', 'guest'), undefined);
  });
});
