/** A service in a machine that runs is cloned, while who does so, or what holds the machine, is killed. */
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { KilledClone, type WantedClone } from '../helpers/killed-clones.js';
import { unlessTraced } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip = embedded.skip || unlessTraced() || unlessProgram('qemu-img', 'mke2fs');

const MACHINE = [...ACCEL, '-i', '200'];

describe('a service in a machine', { skip }, () => {
  const { env, remove } = privateStore();
  const way = { ...embedded, options: { ...embedded.options, env } };
  // Each step starts a machine or two, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);
  const cloned = (t: TestContext, wanted: WantedClone) => KilledClone.make(t, way, { options: MACHINE, ...wanted });

  it('goes on when a clone that holds it still is killed', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertProgramKilled(['write']);
  });

  it('goes on when cp is killed that copies its state', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertCopyKilled(['copy_file_range']);
  });

  it('is held still by processes each of which is killed, and its clone is whole or not there', async (t) => {
    await (await cloned(t, { flag: '--live' })).assertHoldersKilled('copy_file_range');
  });
});
