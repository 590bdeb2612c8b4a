/** A sandbox that stands still for as long as a host wants it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Pause } from '../../../src/control/pause.js';
import { Refusal } from '../../../src/control/serving.js';
import { deferred } from '../../../src/util/promises.js';

/** A container, and what libvirt is asked for. */
function container() {
  const told: string[] = [];
  const suspending = deferred<void>();
  const domain = {
    suspend: async () => {
      told.push('suspend');
      await suspending.promise;
    },
    resume: async () => void told.push('resume'),
  };
  return { told, suspending, pause: new Pause({ monitor: undefined, domain } as never) };
}

describe('Pause', () => {
  it('lasts until the host asks for the end', async () => {
    const { told, suspending, pause } = container();
    const { signal } = new AbortController();
    suspending.resolve();
    await pause.begin(signal);
    assert.deepEqual(told, ['suspend']);
    await pause.end(signal);
    await pause.end(signal);
    assert.deepEqual(told, ['suspend', 'resume']);
  });

  it('ends with the connection, also while it begins', async () => {
    const { told, suspending, pause } = container();
    const host = new AbortController();
    const begun = pause.begin(host.signal);
    host.abort();
    suspending.resolve();
    await begun;
    await new Promise(setImmediate);
    assert.deepEqual(told, ['suspend', 'resume']);
  });

  it('is that of one host', async () => {
    const { told, suspending, pause } = container();
    const [one, other] = [new AbortController().signal, new AbortController().signal];
    suspending.resolve();
    await pause.begin(one);
    await assert.rejects(pause.begin(other), Refusal);
    await pause.end(other);
    assert.deepEqual(told, ['suspend']);
    await pause.end(one);
    await pause.begin(other);
    assert.deepEqual(told, ['suspend', 'resume', 'suspend']);
  });

  it('can be tried again when it has failed', async () => {
    const { suspending, pause } = container();
    const { signal } = new AbortController();
    suspending.reject(new Error('no'));
    await assert.rejects(pause.begin(signal), /no/);
    await assert.rejects(pause.begin(signal), /no/);
  });
});
