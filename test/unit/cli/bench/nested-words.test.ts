/** The command line of virt-sandbox-bench inside the emulated machine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type InnerArguments,
  innerWords,
  refuseInside,
  snapshotsFor,
  withOwnNames,
} from '../../../../src/cli/bench/nested-words.js';

const args = (more: Partial<InnerArguments> & Readonly<Record<string, unknown>> = {}): InnerArguments => ({
  ...{ warmUp: 1, 'warm-up': 1, options: '', deterministic: false, json: true, command: ['/bin/true'] },
  ...more,
});

describe('inside an emulated machine', () => {
  it('a command has its options, and none that say where results go', () => {
    const outside = { output: 'r.json', history: 'h', svg: 'r.svg', threshold: '5%' };
    assert.deepEqual(
      innerWords('run', args({ runs: 3, floor: false, timeline: true, options: '-e A=1', ...outside })),
      [...['run', '--runs=3', '--warm-up=1', '--options=-e A=1', '--no-floor', '--timeline', '--no-deterministic']],
    );
    assert.deepEqual(innerWords('peers', args({ only: 'virt' })), [
      'peers',
      '--warm-up=1',
      '--options=',
      '--only=virt',
    ]);
  });

  it('a comparison that is drawn measures a run in detail', () => {
    const words = innerWords('compare', args({ against: '', svg: 'r.svg' }));
    assert.ok(words.includes('--trace=/dev/null') && !words.some((word) => word.startsWith('--svg')));
    assert.ok(!innerWords('compare', args({ against: '' })).some((word) => word.startsWith('--trace')));
  });

  it('a snapshot is baked for each sandbox that must start warm, and for the warm row of peers', () => {
    assert.deepEqual(snapshotsFor('run', args({ options: '--boot cold' })), []);
    assert.deepEqual(snapshotsFor('run', args({ options: '--boot warm --memory 1G', profile: 'fast' })), [
      ['--profile', 'fast', '--for', '--accel kvm --boot warm --memory 1G'],
    ]);
    assert.equal(snapshotsFor('compare', args({ options: '--boot=warm', against: '--boot warm' })).length, 2);
    assert.equal(snapshotsFor('compare', args({ options: '--boot=warm', against: '' })).length, 1);
    assert.equal(snapshotsFor('peers', args()).length, 1);
  });

  it('profiles have the names that the user gave, in the result', () => {
    const text = JSON.stringify({ label: 'A: --profile /run/x/profile-1.json' });
    const names = new Map([['/run/x/profile-1.json', './my "own".json']]);
    assert.deepEqual(JSON.parse(withOwnNames(text, names)), { label: 'A: --profile ./my "own".json' });
  });

  it('instructions are not counted, and containers not measured', () => {
    assert.throws(() => refuseInside(args({ deterministic: true })), /nested measures under KVM.*only QEMU’s emulator/);
    assert.throws(() => refuseInside(args({ options: '-c lxc:///' })), /a container has none/);
    assert.throws(() => refuseInside(args({ against: '-c lxc:///' })), /a container has none/);
    assert.doesNotThrow(() => refuseInside(args()));
  });
});
