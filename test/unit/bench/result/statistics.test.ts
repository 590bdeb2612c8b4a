/** Statistics are repeatable, and claim no more than the values allow. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { difference, median, noise, outliersOf, quantile, summarize } from '../../../../src/bench/result/statistics.js';

/** Pseudorandom values around a center, the same every time. */
function around(center: number, count: number, spread = 0.1, phase = 0): number[] {
  return Array.from({ length: count }, (_, at) => center * (1 + spread * Math.sin(phase + at * 2.39996)));
}

const TRIALS = 150;

/** Normally distributed numbers, the same every time: the minimal standard generator and the Box-Muller transform. */
function noiseOf(seed: number): () => number {
  let state = seed * 7919;
  const uniform = () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

describe('a summary', () => {
  it('has the figures of its values', () => {
    const { runs, min, median: middle, max, spread, p95, outliers } = summarize([3, 1, 2, 10, 2]);
    assert.deepEqual({ runs, min, middle, max, spread }, { runs: 5, min: 1, middle: 2, max: 10, spread: 1 });
    assert.equal(p95.toFixed(6), '8.600000');
    assert.deepEqual(outliers, [3]);
  });

  it('of one value is that value', () => {
    const { min, median: middle, max, low, high, spread } = summarize([4]);
    assert.deepEqual([min, middle, max, low, high, spread], [4, 4, 4, 4, 4, 0]);
  });

  it('has an interval that holds the median, narrows with more values, and is the same in every run', () => {
    const few = summarize(around(100, 8));
    const many = summarize(around(100, 200));
    for (const { low, median: middle, high } of [few, many]) assert.ok(low <= middle && middle <= high);
    assert.ok(many.high - many.low < few.high - few.low);
    assert.deepEqual(summarize(around(100, 8)), few);
  });

  it('is refused for no values, and for values that are no numbers', () => {
    assert.throws(() => summarize([]), RangeError);
    assert.throws(() => summarize([1, Number.NaN]), RangeError);
  });
});

describe('a median and other quantiles', () => {
  it('are numbers in any order and for any count', () => {
    assert.equal(median([10, 9, 1]), 9);
    assert.equal(median([10, 2, 1, 4]), 3);
    assert.equal(quantile([1, 2, 3, 4, 5], 0), 1);
    assert.equal(quantile([5, 1], 1), 5);
  });
});

describe('outliers', () => {
  it('are values far from the others', () => assert.deepEqual(outliersOf([10, 11, 10, 12, 30, 11]), [4]));
  it('are none if all values vary as much', () => assert.deepEqual(outliersOf([1, 2, 3, 4, 5, 6]), []));
  it('are none among three', () => assert.deepEqual(outliersOf([1, 1, 100]), []));
});

describe('noise', () => {
  it('is relative to the median', () => {
    assert.equal(noise([5, 5, 5]), 0);
    assert.equal(noise([90, 100, 110]).toFixed(4), (0.1 * 1.4826).toFixed(4));
  });
});

describe('a difference', () => {
  it('is seen if there is one, either way', () => {
    const slow = difference(around(110, 20, 0.02), around(100, 20, 0.02, 1));
    assert.equal(slow.verdict, 'slower');
    assert.ok(slow.low > 1 && slow.low <= slow.ratio && slow.ratio <= slow.high);
    assert.equal(difference(around(90, 20, 0.02), around(100, 20, 0.02, 1)).verdict, 'faster');
  });

  it('is not seen within the noise', () => {
    assert.equal(difference(around(101, 10, 0.2), around(100, 10, 0.2, 1)).verdict, 'undecided');
  });

  it('is not seen with fewer than five values, however far apart', () => {
    const far = (count: number) => difference(around(100, count), around(1, count)).verdict;
    assert.deepEqual([far(2), far(4), far(5)], ['undecided', 'undecided', 'slower']);
  });

  it('is seen by chance no more often than documented, from the least number of values on', () => {
    const random = noiseOf(1);
    for (const count of [5, 8]) {
      const series = () => Array.from({ length: count }, () => Math.exp(0.07 * random()));
      const wrong = Array.from({ length: TRIALS }, () => difference(series(), series()).verdict).filter(
        (verdict) => verdict !== 'undecided',
      ).length;
      assert.ok(wrong / TRIALS <= 0.06, `${wrong} of ${TRIALS} with ${count} values`);
    }
  });
});

describe('an interval', () => {
  it('contains the true median about as often as it claims', () => {
    const random = noiseOf(2);
    for (const count of [5, 12]) {
      const held = Array.from({ length: TRIALS }, () => {
        const { low, high } = summarize(Array.from({ length: count }, () => Math.exp(0.07 * random())));
        return low <= 1 && high >= 1;
      }).filter(Boolean).length;
      assert.ok(held / TRIALS >= 0.88, `${held} of ${TRIALS} with ${count} values`);
    }
  });
});
