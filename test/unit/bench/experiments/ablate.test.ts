/** Ablation: the changes, one at a time, and the table of their worth. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ablationText } from '../../../../src/bench/experiments/ablate.js';
import { CANDIDATES, mayBeSkipped } from '../../../../src/bench/experiments/candidates.js';
import { changesOf } from '../../../../src/bench/experiments/changes.js';
import { comparison } from '../../../../src/bench/result/result.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { result, VALUES, variant } from '../../../helpers/bench-results.js';

describe('ablation', () => {
  it('changes everything in a profile, one thing at a time', async () => {
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

  it('turns each device off if the machine has it, and on if not', async () => {
    const of = async (name: string) =>
      changesOf(await loadProfile(name)).flatMap(({ label }) => /^machine (with(?:out)? \w+)$/.exec(label)?.[1] ?? []);
    const usual = ['without i8042', 'without sata', 'without smbus'];
    assert.deepEqual(await of('default'), ['with hpet', 'with vmport', 'with smm', ...usual]);
    assert.deepEqual(await of('compatible'), ['without hpet', 'without vmport', 'without smm', ...usual]);
  });

  it('changes the form of the kernel, the packing of the initrd, and the check of signatures', async () => {
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

  it('sees a difference of instructions if it exceeds the spread of the runs', () => {
    const base = variant('base', [1000, 1001, 1000]);
    const verdict = (value: number) => comparison(variant('x', [value]), base, 'instructions').verdict;
    assert.deepEqual([990, 1000.5, 1100].map(verdict), ['faster', 'undecided', 'slower']);
  });

  it('is a table, the largest saving first', () => {
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

  it('under KVM has the exits that a change saves, and goes by them where the runs are too few for a time', () => {
    const one = (label: string, seconds: number, exits: number, io: number) =>
      variant(label, [seconds], { exits: { exits, io_exits: io, mmio_exits: 10 } });
    const text = ablationText(
      result('ablate', [one('as it is', 2, 900, 400), one('with a', 1, 880, 400), one('with b', 3, 500, 30)]),
    );
    assert.match(text, /^as it is, median of its exits to KVM: 900 \(io_exits 400, mmio_exits 10\)$/m);
    const rows = text.split('\n').filter((line) => line.startsWith('with '));
    assert.match(rows[0] ?? '', /^with b .* −400 +−370 +no difference seen$/);
    assert.match(rows[1] ?? '', /^with a .* −20 +\+0 +no difference seen$/);
  });

  it('of times names the floor, and how many verdicts are due to chance', () => {
    const changes = Array.from({ length: 40 }, (_, at) => variant(`change ${at}`, VALUES));
    const baseline = variant('bare QEMU', [1, 1, 1, 1, 1], { profile: undefined, floorOf: ['as it is'] });
    const text = ablationText(result('ablate', [variant('as it is', VALUES), ...changes, baseline]));
    assert.match(text, /^a bare QEMU \(the floor\): 1\.000 s, 50\.0 %$/m);
    assert.match(text, /^Of 40 changes that were worth nothing chance alone would show 2 as worth something\.$/m);
    assert.equal(text.match(/^change/gm)?.length, 40 + 1);
    assert.doesNotMatch(text, /^bare QEMU/m);
  });
});
