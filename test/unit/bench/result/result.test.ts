/** Results: their files, comparisons and texts. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bootTimeDocument } from '../../../../src/bench/document.js';
import { terminalWaterfall } from '../../../../src/bench/pictures/terminal.js';
import { compareResults, differingHosts } from '../../../../src/bench/result/compare.js';
import { type Result, readResult } from '../../../../src/bench/result/result.js';
import { resultText } from '../../../../src/bench/result/text.js';
import { host, result, SLOWER, timeline, VALUES, variant } from '../../../helpers/bench-results.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('a result in a file', () => {
  it('is read as it was written', (t) => {
    const path = join(scratchDirectory(t), 'r.json');
    const one = result('run', [
      variant('a', VALUES, { timeline }),
      variant('b', SLOWER),
      variant('c', [], { failure: 'x' }),
    ]);
    writeFileSync(path, JSON.stringify(one));
    assert.deepEqual(readResult(path), JSON.parse(JSON.stringify(one)));
    assert.deepEqual(
      one.comparisons.map(({ label, against, verdict }) => [label, against, verdict]),
      [['b', 'a', 'slower']],
    );
  });

  it('is refused if it is damaged; the error names the field', (t) => {
    const path = join(scratchDirectory(t), 'r.json');
    writeFileSync(path, '{');
    assert.throws(() => readResult(path), /cannot be read as JSON/);
    writeFileSync(path, JSON.stringify({ ...result('run', []), format: 2 }));
    assert.throws(() => readResult(path), /holds no result of virt-sandbox-bench: format/);
  });

  it('has every field in docs/bench-json.md', () => {
    const text = readFileSync('docs/bench-json.md', 'utf8');
    const one = result('run', [
      variant('a', VALUES, { timeline, failure: 'x' }),
      variant('b', SLOWER, { floorOf: ['a'] }),
    ]);
    for (const name of fieldsOf(one)) assert.match(text, new RegExp(`\`${name}\``), name);
  });
});

/** Names of all fields. The keys in `parts` of a variant are names of stages, not fields. */
function fieldsOf(value: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (one: unknown, within: string) => {
    if (Array.isArray(one)) for (const item of one) visit(item, within);
    else if (typeof one === 'object' && one !== null) {
      for (const [name, inner] of Object.entries(one)) {
        if (within !== 'parts' || typeof inner !== 'number') names.add(name);
        visit(inner, name);
      }
    }
  };
  visit(value, '');
  return names;
}

describe('two results', () => {
  it('are compared by variants that measured the same', () => {
    const one = result('run', [variant('a', SLOWER), variant('floor', [1], { profile: undefined })]);
    const other = result('run', [variant('a', VALUES)]);
    const compared = compareResults(one, other, 'new.json', 'old.json');
    assert.equal(compared.comparisons.length, 1);
    assert.deepEqual(
      compared.variants.map(({ label, values }) => [label, values]),
      [
        ['a in new.json', SLOWER],
        ['a in old.json', VALUES],
      ],
    );
    assert.equal(compared.comparisons[0]?.verdict, 'slower');
    assert.equal(compared.comparisons[0]?.ratio.toFixed(3), '1.200');
    assert.match(resultText(compared), /a in new\.json: 1\.200 × .* 20\.0 % more than a in old\.json/);
  });

  it('are paired by label if many variants boot alike, and not at all if none does', () => {
    const names = (one: Result, other: Result) =>
      compareResults(one, other, '1', '2').comparisons.map(({ label, against }) => [label, against]);
    const ablation = (...labels: string[]) =>
      result(
        'ablate',
        labels.map((label) => variant(label, VALUES)),
      );
    assert.deepEqual(names(ablation('as it is', 'without x', 'with y'), ablation('as it is', 'with y')), [
      ['as it is in 1', 'as it is in 2'],
      ['with y in 1', 'with y in 2'],
    ]);
    // A renamed variant is found by its profile and options.
    assert.deepEqual(names(ablation('a'), ablation('b')), [['a in 1', 'b in 2']]);
  });

  it('of two hosts come with the facts that differ', () => {
    const one = result('run', [variant('a', VALUES)]);
    const other = { ...one, host: { ...host, kernel: '6.13', load: 3 } };
    assert.deepEqual(differingHosts(one, other, 'x', 'y'), ['kernel is 6.12 in x, and 6.13 in y']);
    assert.deepEqual(differingHosts(one, one, 'x', 'y'), []);
  });

  it('of instructions are compared by the spread of their runs', () => {
    const counted = (values: number[]) => result('run', [variant('a', values)], 'instructions');
    const verdict = (values: number[]) =>
      compareResults(counted(values), counted([1000, 1001]), 'x', 'y').comparisons[0]?.verdict;
    assert.deepEqual([verdict([1000.8]), verdict([1004])], ['undecided', 'slower']);
  });

  it('are not compared in different units, or with nothing in common', () => {
    const one = result('run', [variant('a', VALUES)]);
    assert.throws(
      () => compareResults(one, result('run', [variant('a', VALUES)], 'instructions'), 'x', 'y'),
      /x is in s/,
    );
    assert.throws(() => compareResults(one, result('run', [variant('a', [])]), 'x', 'y'), /nothing in common/);
  });
});

describe('text for a terminal', () => {
  it('has figures, outliers and failures', () => {
    const text = resultText(result('run', [variant('a', [...VALUES, 9]), variant('c', [], { failure: 'no\nsuch' })]));
    assert.match(text, /^2 processors \(A processor\), TCG/);
    assert.match(text, /a +6 +1\.990 s +2\.005 s/);
    assert.match(text, /outliers: 9\.000 s/);
    assert.match(text, /^c is left out: no\nsuch$/m);
  });

  it('says why exits to KVM were not counted, and what a nested measurement stands for', () => {
    const counted = result('run', [variant('a', VALUES, { noExits: 'only root may read them' })]);
    const text = resultText({ ...counted, host: { ...counted.host, nested: true } });
    assert.match(text, /^a: exits to KVM are not counted: only root may read them$/m);
    assert.match(text, /^Measured with KVM inside a machine that QEMU emulates\. .*\n.* stand for nothing\.$/m);
    assert.doesNotMatch(resultText(result('run', [variant('a', VALUES)])), /exits|nested|KVM/);
  });

  it('has a column of exits in a waterfall where they were counted', () => {
    const stages = timeline.stages.map((one) => ({ ...one, exits: { exits: 42 } }));
    const counted = { ...timeline, stages, exits: { exits: 168, io_exits: 9 }, exitsApart: 2500 };
    const lines = terminalWaterfall(counted, 100).split('\n');
    assert.match(lines[0] ?? '', /^ +took +exits$/);
    assert.match(lines[1] ?? '', / 100\.0 ms +42 /);
    assert.match(lines.join('\n'), /^168 exits to KVM: io_exits 9; read 2\.50 ms apart at most$/m);
  });

  it('draws a waterfall with bars at their times', () => {
    const lines = terminalWaterfall(timeline, 100).split('\n');
    const kernel = lines.find((line) => line.startsWith('kernel')) ?? '';
    const start = lines.find((line) => line.startsWith('start')) ?? '';
    assert.ok(kernel.indexOf('█') > start.indexOf('█'));
    assert.ok((kernel.match(/█/g)?.length ?? 0) > 10 * (start.match(/█/g)?.length ?? 1));
    assert.match(lines.join('\n'), /50\.0 ms unexplained/);
    assert.match(lines.join('\n'), /to within 0\.23 ms \(half of the shortest round trip\)/);
  });
});

describe('the part of a warm start that is neither QEMU nor the guest', () => {
  const parts = { 'start of the program': 0.1, 'loading the state': 0.05, 'common init': 0.2, exit: 0.01 };
  const where = {
    'start of the program': 'host',
    'loading the state': 'qemu',
    'common init': 'guest',
    exit: 'host',
  } as const;
  const warm = variant('a', [0.36], { parts, where, timeline: { ...timeline, start: 'warm' } });

  it('is listed, its sum first', () => {
    const text = resultText(result('run', [warm]));
    const [, list = ''] = text.split('a, time outside QEMU and the guest:\n');
    assert.deepEqual(
      list
        .split('\n\n')[0]
        ?.split('\n')
        .filter((line) => line !== '')
        .map((line) => line.trim().replace(/ {2,}/g, ' | ')),
      ['sum | 110 ms | 30.6 %', 'start of the program | host | 100 ms | 27.8 %', 'exit | host | 10 ms | 2.8 %'],
    );
    assert.match(bootTimeDocument([result('run', [warm])]), /^### a: time outside QEMU and the guest$/m);
  });

  it('is not listed for a cold start', () => {
    const cold = { ...warm, timeline: { ...timeline, start: 'cold' as const } };
    assert.doesNotMatch(resultText(result('run', [cold])), /what is neither/);
  });
});
