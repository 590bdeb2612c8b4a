/** A service in a machine is stopped to be cloned, while who does so, or what holds the machine, is killed. */
import { describe, it } from 'node:test';
import { STUBBORN_SOURCE } from '../helpers/killed-clones.js';
import { killedMachines, MACHINE_HOLDERS, unlessMachinesKilled } from '../helpers/killed-machines.js';
import { IS_THOROUGH } from '../helpers/killing.js';

describe('a service in a machine', { skip: unlessMachinesKilled }, () => {
  const { cloned } = killedMachines();

  it('runs again, or is said to be stopped, when the clone that it is stopped for is killed, or its cp', async (t) => {
    const clone = await cloned(t, { flag: '--stop' });
    await clone.assertProgramKilled(['rename']);
    await clone.assertCopyKilled(['copy_file_range']);
  });

  it('runs again, or is said to have failed, when one that holds it is killed while it is stopped', async (t) => {
    await (await cloned(t, { flag: '--stop', ...STUBBORN_SOURCE })).assertHoldersKilledAtStop();
  });

  for (const who of IS_THOROUGH ? MACHINE_HOLDERS : [])
    it(`runs again, or is said to have failed, when its ${who} is killed at any of its calls`, async (t) => {
      await (await cloned(t, { flag: '--stop' })).assertHolderKilledAtCalls(who);
    });
});
