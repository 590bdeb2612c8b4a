/** What the host's systemd is told of a service. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { tellSystemd } from '../../../../src/cli/service/tell-systemd.js';
import { OperationError } from '../../../../src/protocol/operations.js';
import { deferred } from '../../../../src/util/promises.js';

/** What is told of a service whose guest answers as `call` does. */
function watched(t: TestContext, call: (count: number) => Promise<unknown>) {
  const pause = { isHeld: false };
  const watch = { signs: 0, onSign: () => {}, pause };
  const notifier = {
    watchdogInterval: 5,
    ready: async () => {},
    status: async () => {},
    stopping: async () => {},
    watchdog: async () => {
      watch.signs += 1;
      watch.onSign();
    },
  };
  let calls = 0;
  const channel = {
    call: () => {
      calls += 1;
      return call(calls);
    },
  };
  const { onPhase } = tellSystemd(notifier as never);
  // What is watched keeps no process.
  const awake = setInterval(() => {}, 1000);
  t.after(() => {
    clearInterval(awake);
    onPhase('stopping', {});
  });
  onPhase('running', { sandbox: { launched: { channel } } as never, pause });
  return watch;
}

const never = new Promise<never>(() => {});

it('a service that is held still gives a sign of life, one that hangs does not', async (t) => {
  const hangs = deferred<void>();
  const alive = deferred<void>();
  const watch = watched(t, (count) => {
    if (count === 3) hangs.resolve();
    return never;
  });
  await hangs.promise;
  assert.equal(watch.signs, 0);
  watch.onSign = alive.resolve;
  watch.pause.isHeld = true;
  await alive.promise;
});

it('one answer that is late keeps no other from being a sign, and is one itself', async (t) => {
  const [late, alive, again] = [deferred<void>(), deferred<void>(), deferred<void>()];
  const watch = watched(t, (count) => (count === 1 ? late.promise : count === 2 ? Promise.resolve() : never));
  watch.onSign = alive.resolve;
  await alive.promise;
  assert.equal(watch.signs, 1);
  watch.onSign = again.resolve;
  late.resolve();
  await again.promise;
});

it('a refusal of the guest is a sign of life, and its end is none', async (t) => {
  const [alive, looked] = [deferred<void>(), deferred<void>()];
  const watch = watched(t, (count) => {
    if (count === 1) return Promise.reject(new OperationError('readFile', 2, 'no such file'));
    if (count === 4) looked.resolve();
    return Promise.reject(new Error('the guest is gone'));
  });
  watch.onSign = alive.resolve;
  await alive.promise;
  await looked.promise;
  assert.equal(watch.signs, 1);
});

it('of a guest that hangs not more and more is asked', async (t) => {
  const full = deferred<void>();
  let most = 0;
  const watch = watched(t, (count) => {
    most = count;
    if (count === 8) full.resolve();
    return never;
  });
  await full.promise;
  const alive = deferred<void>();
  // A few looks later.
  const later = watched(t, async (count) => (count === 5 ? alive.resolve() : undefined));
  await alive.promise;
  assert.ok(later.signs >= 1);
  assert.deepEqual([most, watch.signs], [8, 0]);
});
