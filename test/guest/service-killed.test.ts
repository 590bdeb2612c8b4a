/** A service in a machine that runs is cloned or removed, while who does so, or what holds the machine, is killed. */
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { KilledClone, STUBBORN_SOURCE, type WantedClone } from '../helpers/killed-clones.js';
import { Removal } from '../helpers/killed-removals.js';
import { IS_THOROUGH, unlessTraced } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip = embedded.skip || unlessTraced() || unlessProgram('qemu-img', 'mke2fs');

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

const HOLDERS = ['holder', 'supervisor', 'virt-qemu-run', 'qemu-system'] as const;

describe('a service in a machine', { skip }, () => {
  const { env, remove } = privateStore();
  const way = { ...embedded, options: { ...embedded.options, env } };
  const options = [...ACCEL, '-i', '200'];
  const cloned = (t: TestContext, wanted: WantedClone) => KilledClone.make(t, way, { options, ...wanted });
  // Each step starts a machine or two, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('goes on when a clone that holds it still is killed', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertProgramKilled(['write']);
  });

  it('goes on when cp is killed that copies its state', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertCopyKilled(['copy_file_range']);
  });

  it('is held still by processes each of which is killed, and its clone is whole or not there', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertHoldersKilled('copy_file_range');
  });

  it('runs again, or is said to be stopped, when the clone that it is stopped for is killed, or its cp', async (t) => {
    const clone = await cloned(t, { flag: '--stop' });
    await clone.assertProgramKilled(['rename']);
    await clone.assertCopyKilled(['copy_file_range']);
  });

  it('runs again, or is said to have failed, when one that holds it is killed while it is stopped', async (t) => {
    await (await cloned(t, { flag: '--stop', ...STUBBORN_SOURCE })).assertHoldersKilledAtStop();
  });

  for (const who of IS_THOROUGH ? HOLDERS : [])
    it(`runs again, or is said to have failed, when its ${who} is killed at any of its calls`, async (t) => {
      await (await cloned(t, { flag: '--stop' })).assertHolderKilledAtCalls(who);
    });

  it('is removed by the next call when the one before was killed', async (t) => {
    await new Removal(t, way, options).assertKilledAt({ who: 'program', calls: ['connect', 'unlink'] });
  });

  for (const [who, calls] of OWN_CALLS)
    it(`is removed by the next call when its ${who} was killed at a call of its own`, async (t) => {
      await new Removal(t, way, options).assertKilledAt({ who, calls });
    });

  for (const who of HOLDERS)
    it(`is removed, by the next call at last, when its ${who} is killed meanwhile`, async (t) => {
      await new Removal(t, way, options).assertKilledAtStop(who);
    });
});
