/** The time that a start may take: a breakpoint stops it, and progress of long work starts it anew. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Deadline } from '../../../../src/sandbox/start/deadline.js';

const WHOLE_MS = 1000;

/** A deadline by a clock that only `pass` moves. */
function started(t: TestContext, signal?: AbortSignal) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const deadline = new Deadline(WHOLE_MS, signal);
  let end = 'none';
  deadline
    .bound(new Promise<never>(() => {}), () => new Error('late'))
    .catch(({ message }: Error) => {
      end = message;
    });
  /** @returns how the waiting has ended after that time */
  const pass = async (milliseconds: number) => {
    t.mock.timers.tick(milliseconds);
    await turn();
    return end;
  };
  return { deadline, pass };
}

describe('the deadline of a start', () => {
  it('ends the waiting when its time is over, and not before', async (t) => {
    const { pass } = started(t);
    assert.equal(await pass(WHOLE_MS - 1), 'none');
    assert.equal(await pass(1), 'late');
  });

  it('stands still at a breakpoint, however long, and has then what was left', async (t) => {
    const { deadline, pass } = started(t);
    assert.equal(await pass(600), 'none');
    for (let stop = 0; stop < 2; stop += 1) {
      deadline.suspend();
      assert.equal(await pass(10 * WHOLE_MS), 'none');
      deadline.resume();
      assert.equal(await pass(150), 'none');
    }
    assert.equal(await pass(99), 'none');
    assert.equal(await pass(1), 'late');
  });

  it('has its whole time again when work has made progress', async (t) => {
    const { deadline, pass } = started(t);
    for (let renewals = 0; renewals < 3; renewals += 1) {
      assert.equal(await pass(WHOLE_MS - 1), 'none');
      deadline.renew();
    }
    assert.equal(await pass(WHOLE_MS - 1), 'none');
    assert.equal(await pass(1), 'late');
  });

  it('has its whole time again also when a breakpoint stopped it before', async (t) => {
    const { deadline, pass } = started(t);
    assert.equal(await pass(900), 'none');
    deadline.suspend();
    deadline.resume();
    deadline.renew();
    assert.equal(await pass(WHOLE_MS - 1), 'none');
    assert.equal(await pass(1), 'late');
  });

  it('ends nothing once it is cleared', async (t) => {
    const { deadline, pass } = started(t);
    deadline.clear();
    assert.equal(await pass(10 * WHOLE_MS), 'none');
  });

  it('is cut short by the signal of the caller', async (t) => {
    const abort = new AbortController();
    const { pass } = started(t, abort.signal);
    abort.abort();
    assert.equal(await pass(0), 'the start was aborted');
  });

  it('gives what was waited for in time', async (t) => {
    const { deadline } = started(t);
    assert.equal(await deadline.bound(Promise.resolve('value'), () => new Error('late')), 'value');
  });
});
