/** The rows and the table of `make bench`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from '../../../src/bench/result/statistics.js';
import { forInformation, quantity, timesAsLong, timesFaster, timesTheRate, within } from '../../bench/row.js';
import { markdownTable } from '../../bench/table.js';

const second = { amount: 1, unit: 's' } as const;
const reference = { name: 'r', amount: 2, unit: 's' } as const;

test('rows know whether they are met', () => {
  assert.equal(timesAsLong('a', reference, { name: 'r', ...second }, 2).met, true);
  assert.equal(timesAsLong('a', reference, { name: 'r', ...second }, 1.9).met, false);
  assert.equal(timesFaster('a', second, reference, 2).met, true);
  assert.equal(timesFaster('a', second, reference, 2.1).met, false);
  assert.equal(timesTheRate('a', second, reference, 1).met, false);
  assert.equal(within('a', second, 1).met, true);
  assert.equal(within('a', second, 0.9).met, false);
  assert.equal(forInformation('a', second, reference).met, undefined);
});

test('the table is Markdown', () => {
  const table = markdownTable([
    timesAsLong('a | b', quantity(summarize([2.5, 2.4, 3]), 's'), reference, 1.35),
    within('size', { amount: 0.98765, unit: 'MB' }, 1.5),
    { what: 'c', skipped: 'not\nthere' },
  ]);
  assert.equal(
    table,
    `| what | value | reference | ratio | limit | met |
| --- | --- | --- | --- | --- | --- |
| a \\| b | 2.50 s (2.40–3.00, n=3) | r: 2.00 s | 1.25 × | ≤ 1.35 × | yes |
| size | 0.988 MB |  |  | ≤ 1.5 MB | yes |
| c | skipped: not there |  |  |  |  |
`,
  );
});
