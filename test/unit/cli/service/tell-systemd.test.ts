/** What the host's systemd is told of a service. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { tellSystemd } from '../../../../src/cli/service/tell-systemd.js';
import { deferred } from '../../../../src/util/promises.js';

it('a service that is held still gives a sign of life, one that hangs does not', async (context) => {
  const pause = { isHeld: false };
  const hangs = deferred<void>();
  const alive = deferred<void>();
  let signs = 0;
  const notifier = {
    watchdogInterval: 5,
    ready: async () => {},
    status: async () => {},
    stopping: async () => {},
    watchdog: async () => {
      signs += 1;
      alive.resolve();
    },
  };
  let calls = 0;
  const channel = {
    call: () => {
      calls += 1;
      if (calls === 3) hangs.resolve();
      return new Promise(() => {});
    },
  };
  const { onPhase } = tellSystemd(notifier as never);
  // What is watched keeps no process.
  const awake = setInterval(() => {}, 1000);
  context.after(() => clearInterval(awake));
  onPhase('running', { sandbox: { launched: { channel } } as never, pause });
  await hangs.promise;
  assert.equal(signs, 0);
  pause.isHeld = true;
  await alive.promise;
  onPhase('stopping', {});
});
