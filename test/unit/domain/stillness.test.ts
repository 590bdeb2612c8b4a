/** A process that does nothing is noticed; one that is busy, or that was not watched meanwhile, is not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { watchStillness } from '../../../src/domain/stillness.js';

/** In milliseconds. */
const LIMIT = 300;

/** Watches a program until it ends or is noticed. */
function watch(t: TestContext, argv: readonly [string, ...string[]]) {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: 'ignore' });
  const watched = { notices: 0, child };
  const stop = watchStillness(child.pid ?? 0, LIMIT, () => {
    watched.notices += 1;
  });
  t.after(() => {
    stop();
    child.kill('SIGKILL');
  });
  return watched;
}

/** Has this thread do nothing, as where the whole host was stopped. */
function stopHere(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('a process that sleeps is noticed, once', async (t) => {
  const watched = watch(t, ['sleep', '60']);
  // On a busy host this process may be late for any interval, and such a one does not count.
  while (watched.notices === 0) await delay(LIMIT);
  await delay(2 * LIMIT);
  assert.equal(watched.notices, 1);
});

test('a busy one is not', async (t) => {
  const watched = watch(t, ['sh', '-c', 'while :; do :; done']);
  await delay(4 * LIMIT);
  assert.equal(watched.notices, 0);
});

test('an interval in which this process did nothing either says nothing', async (t) => {
  const watched = watch(t, ['sleep', '60']);
  for (let turn = 0; turn < 4; turn += 1) {
    stopHere(2 * LIMIT);
    // The interval that is over now is looked at.
    await delay(0);
    await delay(0);
  }
  assert.equal(watched.notices, 0);
});

test('the watch of a process that has ended is over', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const watched = watch(t, ['true']);
  assert.equal(timers(), before + 1);
  while (timers() > before) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(watched.notices, 0);
});
