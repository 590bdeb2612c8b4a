/** A service in a machine that runs is cloned, while who does so, or what holds the machine, is killed. */
import { describe, it } from 'node:test';
import { killedMachines, unlessMachinesKilled } from '../helpers/killed-machines.js';

describe('a service in a machine', { skip: unlessMachinesKilled }, () => {
  const { cloned } = killedMachines();

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
