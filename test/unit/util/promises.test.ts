/** Waiting for promises with a timeout or an abort signal. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settlesWithin, unlessAborted } from '../../../src/util/promises.js';

const never = new Promise<never>(() => {});
const called = (reason: unknown) => new Error(`cancelled: ${String(reason)}`);

test('a promise that settles in time passes on its result', async () => {
  assert.equal(await settlesWithin(Promise.resolve(1), 1000), true);
  assert.equal(await settlesWithin(Promise.reject(new Error('no')), 1000), true);
  assert.equal(await settlesWithin(never, 10), false);
});

test('an abort signal ends the wait, before it and during it', async () => {
  assert.equal(await unlessAborted(Promise.resolve(1), new AbortController().signal, called), 1);
  await assert.rejects(unlessAborted(never, AbortSignal.abort('early'), called), /cancelled: early/);
  const controller = new AbortController();
  const waiting = unlessAborted(never, controller.signal, called);
  controller.abort('late');
  await assert.rejects(waiting, /cancelled: late/);
});
