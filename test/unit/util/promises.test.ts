/** Waiting for promises with a timeout or an abort signal. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { abortedWithin, settlesWithin, unlessAborted } from '../../../src/util/promises.js';

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

test('a signal with a time aborts, also if nothing else knows it when memory is collected', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const signal = abortedWithin(300, new AbortController().signal);
  const aborted = once(signal, 'abort');
  // What is known weakly is kept for as long as the job in which it came about.
  await new Promise(setImmediate);
  collect();
  assert.equal(await settlesWithin(aborted, 90_000), true);

  const other = new AbortController();
  const first = abortedWithin(90_000, other.signal);
  other.abort('over');
  assert.equal(first.reason, 'over');
});
