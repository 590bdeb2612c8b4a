/** The tables of other programs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { peersText } from '../../../../src/bench/experiments/peers.js';
import { result, variant } from '../../../helpers/bench-results.js';

describe('other programs', () => {
  it('are compared with the first; a missing one has its reason', () => {
    const text = peersText(
      result('peers', [
        variant('virt-sandbox', [2]),
        variant('virtme-ng', [20]),
        variant('x', [], { failure: 'x ended with status 1:\nx: no\nand more' }),
        variant('image: virt-sandbox', [], { failure: 'no' }),
        variant('image: y', [1]),
      ]),
    );
    assert.match(text, /^virtme-ng +20\.000 s \(20\.00–20\.00, n=1\) +10\.00 ×$/m);
    assert.match(text, /^x: x ended with status 1: x: no$/m);
    // There is nothing to compare it with.
    assert.match(text, /^y +1\.000 s \(1\.00–1\.00, n=1\)$/m);
  });
});
