/** A service in a container that runs is removed, while who removes it, or what holds it, is killed. */
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { type KilledCalls, Removal } from '../helpers/killed-removals.js';
import { IS_THOROUGH, unlessTraced } from '../helpers/killing.js';

/** What each of them does. */
const KILLED: readonly KilledCalls[] = [
  { who: 'program', calls: ['flock', 'connect', 'rename', 'unlink', 'rmdir'] },
  { who: 'holder', calls: ['kill', 'rename', 'unlink', 'rmdir', 'shutdown'] },
  { who: 'supervisor', calls: ['rename', 'unlinkat', 'unlink', 'rmdir'], atTimes: ['pidfd_send_signal'] },
];

/** Those that libvirt starts. */
const UNDER_LIBVIRT = ['libvirt_lxc', 'init'] as const;

describe('a container whose service is removed', { skip: lxc.skip || unlessTraced() }, () => {
  const thorough = IS_THOROUGH ? UNDER_LIBVIRT.map((who) => ({ who, calls: [] })) : [];
  for (const killing of [...KILLED, ...thorough])
    it(`is gone after the next call, when the ${killing.who} is killed`, async (t) => {
      await new Removal(t, lxc).assertKilledAt(killing);
    });

  for (const who of UNDER_LIBVIRT)
    it(`is gone after the next call, when its ${who} is killed`, async (t) => {
      await new Removal(t, lxc).assertKilledAtStop(who);
    });
});
