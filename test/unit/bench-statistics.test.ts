import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, summarize } from '../../src/bench/statistics.js';

test('a summary', () => {
  assert.deepEqual(summarize([3, 1, 2, 10, 2]), { runs: 5, min: 1, median: 2, max: 10, spread: 1 });
  assert.deepEqual(summarize([4]), { runs: 1, min: 4, median: 4, max: 4, spread: 0 });
});

test('a median is a number, whatever the order and the count', () => {
  assert.equal(median([10, 9, 1]), 9);
  assert.equal(median([10, 2, 1, 4]), 3);
});

test('nothing, or what is no number, has no summary', () => {
  assert.throws(() => summarize([]), RangeError);
  assert.throws(() => summarize([1, Number.NaN]), RangeError);
});
