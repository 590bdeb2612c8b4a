import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settlesWithin, unlessAborted } from '../../../src/util/promises.js';

const never = new Promise<never>(() => {});
const called = (reason: unknown) => new Error(`called off: ${String(reason)}`);

test('a promise that settles in time does so, whichever way', async () => {
  assert.equal(await settlesWithin(Promise.resolve(1), 1000), true);
  assert.equal(await settlesWithin(Promise.reject(new Error('no')), 1000), true);
  assert.equal(await settlesWithin(never, 10), false);
});

test('a signal ends the waiting, before it and during it', async () => {
  assert.equal(await unlessAborted(Promise.resolve(1), new AbortController().signal, called), 1);
  await assert.rejects(unlessAborted(never, AbortSignal.abort('early'), called), /called off: early/);
  const controller = new AbortController();
  const waiting = unlessAborted(never, controller.signal, called);
  controller.abort('late');
  await assert.rejects(waiting, /called off: late/);
});
