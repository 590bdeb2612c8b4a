/** What of a screen is the picture of an empty compositor. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOneColour } from '../../../../src/sandbox/screen/first-picture.js';

/** As QEMU draws it. */
function picture(pixels: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from('P6\n2 2\n255\n'), Buffer.from(pixels)]);
}

describe('a picture', () => {
  it('has one colour, or more', () => {
    assert.equal(isOneColour(picture([1, 2, 10, 1, 2, 10, 1, 2, 10, 1, 2, 10])), true);
    for (let at = 0; at < 12; at += 1) {
      const pixels = [1, 2, 10, 1, 2, 10, 1, 2, 10, 1, 2, 10];
      pixels[at] = 9;
      assert.equal(isOneColour(picture(pixels)), false, String(at));
    }
  });
});
