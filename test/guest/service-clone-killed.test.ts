/** A service in a machine is stopped to be cloned, while who does so, or what holds the machine, is killed. */
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { KilledClone, STUBBORN_SOURCE, type WantedClone } from '../helpers/killed-clones.js';
import { IS_THOROUGH, unlessTraced } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip = embedded.skip || unlessTraced() || unlessProgram('qemu-img', 'mke2fs');

const MACHINE = [...ACCEL, '-i', '200'];

const HOLDERS = ['holder', 'supervisor', 'virt-qemu-run', 'qemu-system'] as const;

describe('a service in a machine', { skip }, () => {
  const { env, remove } = privateStore();
  const way = { ...embedded, options: { ...embedded.options, env } };
  // Each step starts a machine or two, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);
  const cloned = (t: TestContext, wanted: WantedClone) => KilledClone.make(t, way, { options: MACHINE, ...wanted });

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
});
