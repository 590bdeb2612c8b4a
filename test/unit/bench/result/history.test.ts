/** The history of results: written, read back, and drawn as a trend. */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { appendHistory, entriesOf, historyText, readHistory, trends } from '../../../../src/bench/result/history.js';
import { result, SLOWER, VALUES, variant } from '../../../helpers/bench-results.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('history', () => {
  const baseline = variant('bare QEMU (the floor)', [1.6], { profile: undefined, floorOf: ['a'] });

  it('is appended to, read back, and drawn as a trend', (t) => {
    const path = join(scratchDirectory(t), 'deep/er/h.jsonl');
    assert.deepEqual(readHistory(path), { entries: [], unreadable: 0 });
    appendHistory(path, result('run', [variant('a', VALUES), variant('floor', [1], { profile: undefined })]));
    appendHistory(path, result('run', [variant('a', SLOWER)]));
    appendFileSync(path, '{"half a li');
    const { entries, unreadable } = readHistory(path);
    assert.equal(entries.length, 2);
    assert.equal(unreadable, 1);
    assert.deepEqual([entries[0]?.median, entries[0]?.kernel, entries[0]?.profile], [2, '6.12', 'default']);
    const beside = entriesOf(result('run', [variant('a', VALUES), baseline]));
    assert.deepEqual(
      beside.map(({ label, floor: median }) => [label, median]),
      [['a', 1.6]],
    );
    assert.match(historyText(beside), / 1\.25 × the floor$/m);
    // Half a line spoils no other line.
    appendHistory(path, result('run', [variant('a', VALUES)]));
    assert.deepEqual([readHistory(path).entries.length, readHistory(path).unreadable], [3, 1]);
    assert.match(historyText(entries), /▇█\n[^\n]*2\.000 s[^\n]*\n[^\n]*2\.400 s[^\n]* 20\.0 %/);
  });

  it('has each baseline beside the variants that it belongs to', () => {
    const other = variant('bare QEMU (the floor) of b', [1], { profile: undefined, floorOf: ['b'] });
    const beside = entriesOf(result('compare', [variant('a', VALUES), variant('b', VALUES), other, baseline]));
    assert.deepEqual(
      beside.map(({ label, floor: median }) => [label, median]),
      [
        ['a', 1.6],
        ['b', 1],
      ],
    );
  });

  it('has a trend for each change of an ablation, and one for the unchanged profile', () => {
    const ablation = result('ablate', [
      variant('as it is', VALUES),
      variant('without x', SLOWER),
      variant('with y', [1]),
    ]);
    const entries = [
      ...entriesOf(ablation),
      ...entriesOf(ablation),
      ...entriesOf(result('run', [variant('a', VALUES)])),
    ];
    assert.deepEqual([...trends(entries).values()].map((group) => group.length).sort(), [2, 2, 3]);
  });
});
