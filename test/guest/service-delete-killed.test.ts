/** A service in a machine that runs is removed, while who does so, or what holds the machine, is killed. */
import { describe, it } from 'node:test';
import { killedMachines, MACHINE, MACHINE_HOLDERS, unlessMachinesKilled } from '../helpers/killed-machines.js';
import { Removal } from '../helpers/killed-removals.js';
import { IS_THOROUGH } from '../helpers/killing.js';

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

describe('a service in a machine', { skip: unlessMachinesKilled }, () => {
  const { way } = killedMachines();

  it('is removed by the next call when the one before was killed', async (t) => {
    await new Removal(t, way, MACHINE).assertKilledAt({ who: 'program', calls: ['connect', 'unlink'] });
  });

  for (const [who, calls] of OWN_CALLS)
    it(`is removed by the next call when its ${who} was killed at a call of its own`, async (t) => {
      await new Removal(t, way, MACHINE).assertKilledAt({ who, calls });
    });

  for (const who of MACHINE_HOLDERS)
    it(`is removed, by the next call at last, when its ${who} is killed meanwhile`, async (t) => {
      await new Removal(t, way, MACHINE).assertKilledAtStop(who);
    });
});
