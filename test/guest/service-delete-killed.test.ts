/** A service in a machine that runs is removed, while who does so, or what holds the machine, is killed. */
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { Removal } from '../helpers/killed-removals.js';
import { IS_THOROUGH, unlessTraced } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip = embedded.skip || unlessTraced() || unlessProgram('qemu-img', 'mke2fs');

const MACHINE = [...ACCEL, '-i', '200'];

const HOLDERS = ['holder', 'supervisor', 'virt-qemu-run', 'qemu-system'] as const;

/** What those that hold it do when it ends. */
const OWN_CALLS = [
  ['holder', ['rmdir']],
  ['supervisor', ['unlinkat']],
  ...(IS_THOROUGH
    ? ([
        ['virt-qemu-run', []],
        ['qemu-system', []],
      ] as const)
    : []),
] as const;

describe('a service in a machine', { skip }, () => {
  const { env, remove } = privateStore();
  const way = { ...embedded, options: { ...embedded.options, env } };
  // Each step starts a machine or two, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is removed by the next call when the one before was killed', async (t) => {
    await new Removal(t, way, MACHINE).assertKilledAt({ who: 'program', calls: ['connect', 'unlink'] });
  });

  for (const [who, calls] of OWN_CALLS)
    it(`is removed by the next call when its ${who} was killed at a call of its own`, async (t) => {
      await new Removal(t, way, MACHINE).assertKilledAt({ who, calls });
    });

  for (const who of HOLDERS)
    it(`is removed, by the next call at last, when its ${who} is killed meanwhile`, async (t) => {
      await new Removal(t, way, MACHINE).assertKilledAtStop(who);
    });
});
