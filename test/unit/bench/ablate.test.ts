/**
 * Ablation: which changes it tries, and its reports. Also the table of peers, the document docs/boot-time.md, and the
 * smallest init.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ablationText, changesOf } from '../../../src/bench/ablate.js';
import { CANDIDATES, mayBeSkipped } from '../../../src/bench/candidates.js';
import { bootTimeDocument } from '../../../src/bench/document.js';
import { peersText } from '../../../src/bench/peers.js';
import { powerOffProgram } from '../../../src/bench/power-off.js';
import { comparison, type Result } from '../../../src/bench/result.js';
import { loadProfile } from '../../../src/profile/load.js';
import { host, result, timeline, VALUES, variant } from '../../helpers/bench-results.js';
import { scratchDirectory } from '../../helpers/scratch.js';

describe('ablation', () => {
  it('tries every change, one at a time', async () => {
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

  it('switches each present device off, and each absent device on', async () => {
    const of = async (name: string) =>
      changesOf(await loadProfile(name)).flatMap(({ label }) => /^machine (with(?:out)? \w+)$/.exec(label)?.[1] ?? []);
    const usual = ['without i8042', 'without sata', 'without smbus'];
    assert.deepEqual(await of('default'), ['with hpet', 'with vmport', 'with smm', ...usual]);
    assert.deepEqual(await of('compatible'), ['without hpet', 'without vmport', 'without smm', ...usual]);
  });

  it('tries the packed kernel, every initrd packing, and module signatures', async () => {
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

  it('never skips an initcall that a sandbox needs', () => {
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

  it('reports a difference in instructions beyond the spread of the runs', () => {
    const base = variant('base', [1000, 1001, 1000]);
    const verdict = (value: number) => comparison(variant('x', [value]), base, 'instructions').verdict;
    assert.deepEqual([990, 1000.5, 1100].map(verdict), ['faster', 'undecided', 'slower']);
  });

  it('prints a table, the best change first', () => {
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

  it('of times reports the baseline, and how many results may be chance', () => {
    const changes = Array.from({ length: 40 }, (_, at) => variant(`change ${at}`, VALUES));
    const baseline = variant('bare QEMU', [1, 1, 1, 1, 1], { profile: undefined, floorOf: ['as it is'] });
    const text = ablationText(result('ablate', [variant('as it is', VALUES), ...changes, baseline]));
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

  it('shows where the instructions of a boot go', () => {
    const parts = { kernel: 9e8, 'module 9p': 1e8 };
    const text = bootTimeDocument([result('compare', [variant('a', [1e9, 1e9, 1e9], { parts })], 'instructions')]);
    assert.match(
      text,
      /^\| a \| instructions \| of the whole \|\n.*\n\| kernel \| 900\.0 M instructions \| 90\.0 % \|$/m,
    );
  });

  it('warns about a busy machine for times, not for instructions', () => {
    const busy = (unit: Result['unit'], load: number) =>
      bootTimeDocument([{ ...result('run', [variant('a', VALUES)], unit), host: { ...host, load } }]);
    assert.match(busy('s', 2), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('s', 0.1), /\*\*The machine did other work/);
    assert.doesNotMatch(busy('instructions', 2), /\*\*The machine did other work/);
  });
});

describe('other programs', () => {
  it('are compared with the first; a missing one is listed with the reason', () => {
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
    // There is no first to compare with.
    assert.match(text, /^y +1\.000 s \(1\.00–1\.00, n=1\)$/m);
  });
});

describe('the smallest init', () => {
  it('is a static program for this kernel', (t) => {
    const path = join(scratchDirectory(t), 'init');
    writeFileSync(path, powerOffProgram());
    const header = execFileSync('readelf', ['-hl', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    assert.match(header, /Type:\s+EXEC/);
    assert.match(header, /Machine:\s+Advanced Micro Devices X86-64/);
    assert.match(header, /Entry point address:\s+0x400078/);
    assert.doesNotMatch(header, /INTERP/);
  });
});
