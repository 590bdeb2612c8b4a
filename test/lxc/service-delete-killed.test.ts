/** A service in a container that runs is removed, while who removes it, or what holds it, is killed. */
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { type KilledCalls, Removal } from '../helpers/killed-removals.js';
import { unlessTraced } from '../helpers/killing.js';

/** What each of them does. */
const KILLED: readonly KilledCalls[] = [
  { who: 'program', calls: ['flock', 'connect', 'rename', 'unlink', 'rmdir'] },
  { who: 'holder', calls: ['kill', 'rename', 'unlink', 'rmdir', 'shutdown'] },
  { who: 'supervisor', calls: ['rename', 'unlinkat', 'unlink', 'rmdir'], atTimes: ['pidfd_send_signal'] },
];

describe('a container whose service is removed', { skip: lxc.skip || unlessTraced() }, () => {
  for (const killing of KILLED)
    it(`is gone after the next call, when the ${killing.who} is killed`, async (t) => {
      await new Removal(t, lxc).assertKilledAt(killing);
    });

  for (const who of ['libvirt_lxc', 'init'])
    it(`is gone after the next call, when its ${who} is killed`, async (t) => {
      await new Removal(t, lxc).assertKilledAtStop(who);
    });
});
