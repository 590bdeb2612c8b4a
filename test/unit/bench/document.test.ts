/** The document that becomes docs/boot-time.md. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bootTimeDocument } from '../../../src/bench/document.js';
import type { Result } from '../../../src/bench/result/result.js';
import { host, result, timeline, VALUES, variant } from '../../helpers/bench-results.js';

describe('the document', () => {
  it('has a section for each result', () => {
    const text = bootTimeDocument([
      result('run', [variant('a', VALUES, { timeline })]),
      result('ablate', [variant('as it is', VALUES)]),
      result('peers', [variant('virt-sandbox', VALUES), variant('image: virt-sandbox', VALUES)]),
    ]);
    for (const heading of ['A run', 'What each thing is worth', 'Beside others', 'What limits remain'])
      assert.match(text, new RegExp(`^## ${heading}`, 'm'));
    assert.match(text, /^## A run\n\n {4}virt-sandbox-bench run\n\nvirt-sandbox 1\.0, /m);
    assert.match(text, /\| kernel \| guest \| 1750\.0 ms \| 87\.5 % \| 1250\.0 ms \|/);
  });

  it('lists where the instructions of a boot go', () => {
    const parts = { kernel: 9e8, 'module 9p': 1e8 };
    const text = bootTimeDocument([result('compare', [variant('a', [1e9, 1e9, 1e9], { parts })], 'instructions')]);
    assert.match(
      text,
      /^\| a \| instructions \| of the whole \|\n.*\n\| kernel \| 900\.0 M instructions \| 90\.0 % \|$/m,
    );
  });

  it('notes a busy machine for times, not for instructions', () => {
    const busy = (unit: Result['unit'], load: number) =>
      bootTimeDocument([{ ...result('run', [variant('a', VALUES)], unit), host: { ...host, load } }]);
    assert.match(busy('s', 2), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('s', 0.1), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('instructions', 2), /\*\*The machine did other work/);
  });
});
