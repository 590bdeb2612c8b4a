/** Results: what is kept, compared, drawn and written down. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ablationText, changesOf } from '../../src/bench/ablate.js';
import { CANDIDATES, mayBeSkipped } from '../../src/bench/candidates.js';
import { compareResults, differingHosts } from '../../src/bench/compare.js';
import { bootTimeDocument } from '../../src/bench/document.js';
import { appendHistory, entriesOf, historyText, readHistory, trends } from '../../src/bench/history.js';
import { peersText } from '../../src/bench/peers.js';
import { chromeTrace } from '../../src/bench/pictures/chrome.js';
import { page } from '../../src/bench/pictures/html.js';
import { waterfallSvg } from '../../src/bench/pictures/svg.js';
import { terminalWaterfall } from '../../src/bench/pictures/terminal.js';
import { powerOffProgram } from '../../src/bench/power-off.js';
import {
  comparison,
  type Kind,
  makeResult,
  type Result,
  readResult,
  type VariantResult,
} from '../../src/bench/result.js';
import { summarize } from '../../src/bench/statistics.js';
import { resultText } from '../../src/bench/text.js';
import { span } from '../../src/bench/timeline/span.js';
import type { Timeline } from '../../src/bench/timeline/timeline.js';
import { loadProfile } from '../../src/profile/load.js';
import { scratchDirectory } from '../helpers/scratch.js';

const host = {
  ...{ processors: 2, model: 'A processor', acceleration: 'tcg', kernel: '6.12', qemu: '10.0', libvirt: '11.3' },
  ...{ node: '20.20', connection: 'qemu:///system', load: 0.1 },
};

const timeline: Timeline = {
  wall: 2_000_000,
  stages: [
    span('start <of> "it" & more', 'host', 0, 100_000),
    span('unexplained', 'unexplained', 100_000, 150_000),
    span('kernel', 'guest', 150_000, 1_900_000, [span('an_initcall', 'guest', 200_000, 700_000)], 'a note'),
    span('end', 'libvirt', 1_900_000, 2_000_000),
  ],
  ...{ alignment: { offset: 150_000, error: 230, method: 'round-trip' as const } },
  ...{ unexplained: 50_000, measuring: 0, rest: 1_250_000 },
};

function variant(label: string, values: readonly number[], more: Partial<VariantResult> = {}): VariantResult {
  return {
    ...{ label, profile: 'default', options: ['--', '/bin/true'], values },
    ...{ summary: values.length === 0 ? null : summarize(values), parts: { kernel: 1.5 }, ...more },
  };
}

function result(kind: Kind, variants: readonly VariantResult[], unit: Result['unit'] = 's'): Result {
  return makeResult(
    kind,
    { version: '1.0', command: ['virt-sandbox-bench', kind], host, unit },
    { interrupted: false },
    variants,
  );
}

const VALUES = [2, 2.01, 2.02, 1.99, 2.0];
const SLOWER = VALUES.map((value) => value * 1.2);

describe('a result in a file', () => {
  it('comes back as it was', (t) => {
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

  it('is refused where it is none, by the name of what is wrong', (t) => {
    const path = join(scratchDirectory(t), 'r.json');
    writeFileSync(path, '{');
    assert.throws(() => readResult(path), /cannot be read as JSON/);
    writeFileSync(path, JSON.stringify({ ...result('run', []), format: 2 }));
    assert.throws(() => readResult(path), /holds no result of virt-sandbox-bench: format/);
  });

  it('says every field of it in docs/bench-json.md', () => {
    const text = readFileSync('docs/bench-json.md', 'utf8');
    const one = result('run', [
      variant('a', VALUES, { timeline, failure: 'x' }),
      variant('b', SLOWER, { floorOf: ['a'] }),
    ]);
    for (const name of fieldsOf(one)) assert.match(text, new RegExp(`\`${name}\``), name);
  });
});

/** Names of all fields; those of `parts` of a variant are no fields, but names of stages. */
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
  it('are compared where they measured the same', () => {
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

  it('are paired by their labels where many boot alike, and not at all where none is the same', () => {
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
    // One that was renamed is found by what it boots by.
    assert.deepEqual(names(ablation('a'), ablation('b')), [['a in 1', 'b in 2']]);
  });

  it('of two machines are told apart by what the machines differ in', () => {
    const one = result('run', [variant('a', VALUES)]);
    const other = { ...one, host: { ...host, kernel: '6.13', load: 3 } };
    assert.deepEqual(differingHosts(one, other, 'x', 'y'), ['kernel is 6.12 in x, and 6.13 in y']);
    assert.deepEqual(differingHosts(one, one, 'x', 'y'), []);
  });

  it('of instructions are compared by how far runs of the same lie apart', () => {
    const counted = (values: number[]) => result('run', [variant('a', values)], 'instructions');
    const verdict = (values: number[]) =>
      compareResults(counted(values), counted([1000, 1001]), 'x', 'y').comparisons[0]?.verdict;
    assert.deepEqual([verdict([1000.8]), verdict([1004])], ['undecided', 'slower']);
  });

  it('are not compared in different units, or without anything in common', () => {
    const one = result('run', [variant('a', VALUES)]);
    assert.throws(
      () => compareResults(one, result('run', [variant('a', VALUES)], 'instructions'), 'x', 'y'),
      /x is in s/,
    );
    assert.throws(() => compareResults(one, result('run', [variant('a', [])]), 'x', 'y'), /nothing in common/);
  });
});

describe('text for a terminal', () => {
  it('has the figures, what stands out, and what is not there', () => {
    const text = resultText(result('run', [variant('a', [...VALUES, 9]), variant('c', [], { failure: 'no\nsuch' })]));
    assert.match(text, /^2 processors \(A processor\), TCG/);
    assert.match(text, /a +6 +1\.990 s +2\.005 s/);
    assert.match(text, /standing out: 9\.000 s/);
    assert.match(text, /^c is left out: no\nsuch$/m);
  });

  it('draws a waterfall whose bars are where their time is', () => {
    const lines = terminalWaterfall(timeline, 100).split('\n');
    const kernel = lines.find((line) => line.startsWith('kernel')) ?? '';
    const start = lines.find((line) => line.startsWith('start')) ?? '';
    assert.ok(kernel.indexOf('█') > start.indexOf('█'));
    assert.ok((kernel.match(/█/g)?.length ?? 0) > 10 * (start.match(/█/g)?.length ?? 1));
    assert.match(lines.join('\n'), /50\.0 ms unexplained/);
    assert.match(lines.join('\n'), /to within 0\.23 ms \(half of the shortest round trip\)/);
  });
});

describe('pictures', () => {
  const shown = [
    { label: 'A', timeline },
    { label: 'B & C', timeline },
  ];

  it('are SVG that stands by itself and is well-formed', async (t) => {
    const svg = await waterfallSvg(shown);
    const path = join(scratchDirectory(t), 'w.svg');
    writeFileSync(path, svg);
    execFileSync('xmllint', ['--noout', path], { stdio: ['ignore', 'ignore', 'inherit'] });
    assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|href/);
    assert.match(svg, /prefers-color-scheme:dark/);
    assert.match(svg, /@media print/);
    assert.equal(svg.match(/an_initcall: 500\.0 ms/g)?.length, 2);
    assert.match(svg, /B &amp; C/);
  });

  it('are a page that stands by itself', async () => {
    const html = await page([result('compare', [variant('a', VALUES, { timeline }), variant('b', SLOWER)])]);
    assert.doesNotMatch(html.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|<link/);
    assert.match(html, /20\.0 % more than a/);
  });

  it('are trace events, with every span once', () => {
    const { traceEvents } = JSON.parse(JSON.stringify(chromeTrace(shown))) as {
      traceEvents: { ph: string; name: string; ts: number; dur: number; pid: number }[];
    };
    const spans = traceEvents.filter(({ ph }) => ph === 'X');
    assert.equal(spans.length, 10);
    assert.deepEqual(
      spans.filter(({ name }) => name === 'an_initcall').map(({ ts, dur, pid }) => [ts, dur, pid]),
      [
        [200_000, 500_000, 1],
        [200_000, 500_000, 2],
      ],
    );
  });
});

describe('trace events', () => {
  it('are what the format asks for: each lies within the one above it in its row, or beside it', () => {
    const { traceEvents, displayTimeUnit } = JSON.parse(JSON.stringify(chromeTrace([{ label: 'A', timeline }]))) as {
      displayTimeUnit: string;
      traceEvents: { ph: string; name: string; cat?: string; ts: number; dur: number; pid: number; tid?: number }[];
    };
    assert.equal(displayTimeUnit, 'ms');
    for (const one of traceEvents) {
      assert.ok(one.ph === 'X' || one.ph === 'M', one.ph);
      assert.ok(one.name !== '' && Number.isInteger(one.pid), one.name);
      if (one.ph === 'X') assert.ok(one.ts >= 0 && one.dur >= 0 && Number.isInteger(one.tid), one.name);
    }
    const spans = traceEvents.filter(({ ph }) => ph === 'X');
    for (const one of spans)
      for (const other of spans.filter(({ tid }) => tid === one.tid)) {
        const apart = one.ts + one.dur <= other.ts || other.ts + other.dur <= one.ts;
        const [outer, inner] = one.dur >= other.dur ? [one, other] : [other, one];
        const inside = inner.ts >= outer.ts && inner.ts + inner.dur <= outer.ts + outer.dur;
        assert.ok(apart || inside, `${one.name} and ${other.name}`);
      }
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
    const [, list = ''] = text.split('a, what is neither QEMU nor the guest:\n');
    assert.deepEqual(
      list
        .split('\n\n')[0]
        ?.split('\n')
        .filter((line) => line !== '')
        .map((line) => line.trim().replace(/ {2,}/g, ' | ')),
      ['all of it | 110 ms | 30.6 %', 'start of the program | host | 100 ms | 27.8 %', 'exit | host | 10 ms | 2.8 %'],
    );
    assert.match(bootTimeDocument([result('run', [warm])]), /^### a: what is neither QEMU nor the guest$/m);
  });

  it('is not listed of a boot', () => {
    const cold = { ...warm, timeline: { ...timeline, start: 'cold' as const } };
    assert.doesNotMatch(resultText(result('run', [cold])), /what is neither/);
  });
});

describe('history', () => {
  const floor = variant('bare QEMU (the floor)', [1.6], { profile: undefined, floorOf: ['a'] });

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
    const beside = entriesOf(result('run', [variant('a', VALUES), floor]));
    assert.deepEqual(
      beside.map(({ label, floor: median }) => [label, median]),
      [['a', 1.6]],
    );
    assert.match(historyText(beside), / 1\.25 × the floor$/m);
    // Half a line takes no other with it.
    appendHistory(path, result('run', [variant('a', VALUES)]));
    assert.deepEqual([readHistory(path).entries.length, readHistory(path).unreadable], [3, 1]);
    assert.match(historyText(entries), /▇█\n[^\n]*2\.000 s[^\n]*\n[^\n]*2\.400 s[^\n]* 20\.0 %/);
  });

  it('has each floor beside what it is the floor of', () => {
    const other = variant('bare QEMU (the floor) of b', [1], { profile: undefined, floorOf: ['b'] });
    const beside = entriesOf(result('compare', [variant('a', VALUES), variant('b', VALUES), other, floor]));
    assert.deepEqual(
      beside.map(({ label, floor: median }) => [label, median]),
      [
        ['a', 1.6],
        ['b', 1],
      ],
    );
  });

  it('has a trend of its own for each change of an ablation, apart from the profile as it is', () => {
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

describe('ablation', () => {
  it('changes one thing at a time, and everything that there is', async () => {
    const profile = await loadProfile('default');
    const changes = changesOf(profile);
    assert.equal(new Set(changes.map(({ label }) => label)).size, changes.length);
    for (const { label, apply } of changes) assert.notDeepEqual(apply(profile), profile, label);
    for (const { argument } of profile.kernelArguments)
      assert.ok(changes.some(({ label }) => label === `without ${argument}`));
    for (const { name } of CANDIDATES)
      assert.ok(
        changes.some(({ label }) => label.endsWith(` ${name}`)),
        name,
      );
  });

  it('turns each device of the machine off that is there, and on that is not', async () => {
    const of = async (name: string) =>
      changesOf(await loadProfile(name)).flatMap(({ label }) => /^machine (with(?:out)? \w+)$/.exec(label)?.[1] ?? []);
    const usual = ['without i8042', 'without sata', 'without smbus'];
    assert.deepEqual(await of('default'), ['with hpet', 'with vmport', 'with smm', ...usual]);
    assert.deepEqual(await of('compatible'), ['without hpet', 'without vmport', 'without smm', ...usual]);
  });

  it('chooses another form of the kernel, every packing of the initrd, and whether signatures are checked', async () => {
    const labels = changesOf(await loadProfile('default')).map(({ label }) => label);
    assert.ok(labels.includes('with module signatures checked'));
    assert.deepEqual(
      labels.filter((label) => label.startsWith('image with')),
      [
        'image with the kernel packed (bzImage)',
        ...['gzip', 'xz', 'zstd', 'lz4'].map((name) => `image with the initrd packed with ${name}`),
      ],
    );
  });

  it('never tries to skip what a sandbox needs', () => {
    for (const name of [
      'virtio_pci_driver_init',
      'inet_init',
      'pty_init',
      'devtmpfs_init',
      'serial8250_init',
      'acpi_init',
    ])
      assert.equal(mayBeSkipped(name), false, name);
    assert.equal(mayBeSkipped('system_heap_create'), true);
  });

  it('tells a difference of instructions that is larger than the runs differ by themselves', () => {
    const base = variant('base', [1000, 1001, 1000]);
    const verdict = (value: number) => comparison(variant('x', [value]), base, 'instructions').verdict;
    assert.deepEqual([990, 1000.5, 1100].map(verdict), ['faster', 'undecided', 'slower']);
  });

  it('is a table, the best first', () => {
    const parts = { kernel: 9e8 };
    const variants = [
      variant('as it is', [1e9, 1e9, 1e9], { parts }),
      variant('with x', [9e8]),
      variant('without y', [2e9]),
    ];
    const text = ablationText(result('ablate', variants, 'instructions'));
    assert.match(text, /with x +−100\.0 M instructions +-10\.0 %[^\n]*\nwithout y +\+1000\.0 M instructions +100\.0 %/);
    assert.doesNotMatch(text, /chance/);
  });

  it('of times says what the floor is, and what chance does where there are many', () => {
    const changes = Array.from({ length: 40 }, (_, at) => variant(`change ${at}`, VALUES));
    const floor = variant('bare QEMU', [1, 1, 1, 1, 1], { profile: undefined, floorOf: ['as it is'] });
    const text = ablationText(result('ablate', [variant('as it is', VALUES), ...changes, floor]));
    assert.match(text, /^a bare QEMU \(the floor\): 1\.000 s, 50\.0 %$/m);
    assert.match(text, /^Of 40 changes that were worth nothing chance alone would show 2 as worth something\.$/m);
    assert.equal(text.match(/^change/gm)?.length, 40 + 1);
    assert.doesNotMatch(text, /^bare QEMU/m);
  });
});

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

  it('says where the instructions of a boot go', () => {
    const parts = { kernel: 9e8, 'module 9p': 1e8 };
    const text = bootTimeDocument([result('compare', [variant('a', [1e9, 1e9, 1e9], { parts })], 'instructions')]);
    assert.match(
      text,
      /^\| a \| instructions \| of the whole \|\n.*\n\| kernel \| 900\.0 M instructions \| 90\.0 % \|$/m,
    );
  });

  it('says of times, and not of instructions, that the machine was busy', () => {
    const busy = (unit: Result['unit'], load: number) =>
      bootTimeDocument([{ ...result('run', [variant('a', VALUES)], unit), host: { ...host, load } }]);
    assert.match(busy('s', 2), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('s', 0.1), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('instructions', 2), /\*\*The machine did other work/);
  });
});

describe('other programs', () => {
  it('are compared with the first, and told why they are not there', () => {
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
    // Nothing to compare with.
    assert.match(text, /^y +1\.000 s \(1\.00–1\.00, n=1\)$/m);
  });
});

describe('the smallest init', () => {
  it('is a static program that this kernel would run', (t) => {
    const path = join(scratchDirectory(t), 'init');
    writeFileSync(path, powerOffProgram());
    const header = execFileSync('readelf', ['-hl', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    assert.match(header, /Type:\s+EXEC/);
    assert.match(header, /Machine:\s+Advanced Micro Devices X86-64/);
    assert.match(header, /Entry point address:\s+0x400078/);
    assert.doesNotMatch(header, /INTERP/);
  });
});
