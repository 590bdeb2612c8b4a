/** A clone holds its source still, a container that runs, and is killed at each step, or what holds the source is. */
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { KilledClone, STUBBORN_SOURCE } from '../helpers/killed-clones.js';
import { IS_THOROUGH, unlessTraced } from '../helpers/killing.js';

describe('a container that is held still to be cloned', { skip: lxc.skip || unlessTraced() }, () => {
  it('goes on when the clone is killed', async (t) => {
    const clone = await KilledClone.make(t, lxc, { flag: '--live' });
    await clone.assertProgramKilled(['connect', 'write', 'rename']);
  });

  it('goes on when cp is killed', async (t) => {
    const clone = await KilledClone.make(t, lxc, { flag: '--live' });
    await clone.assertCopyKilled(['copy_file_range']);
  });

  it('is gone, or goes on, when one that holds it is killed, and the clone is whole or not there', async (t) => {
    const clone = await KilledClone.make(t, lxc, { flag: '--live' });
    await clone.assertHoldersKilled('copy_file_range');
  });
});

describe('a container that is stopped to be cloned', { skip: lxc.skip || unlessTraced() }, () => {
  it('runs again, or is said to have failed, when one that holds it is killed meanwhile', async (t) => {
    const clone = await KilledClone.make(t, lxc, { flag: '--stop', ...STUBBORN_SOURCE });
    await clone.assertHoldersKilledAtStop();
  });

  for (const who of IS_THOROUGH ? (['holder', 'supervisor', 'libvirt_lxc', 'init'] as const) : [])
    it(`runs again, or is said to have failed, when its ${who} is killed at any of its calls`, async (t) => {
      const clone = await KilledClone.make(t, lxc, { flag: '--stop' });
      await clone.assertHolderKilledAtCalls(who);
    });
});
