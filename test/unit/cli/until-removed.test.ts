/** How long a pool is held, and that its creator need not live for its end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { untilRemoved } from '../../../src/cli/sandbox/until-removed.js';
import { deferred } from '../../../src/util/promises.js';

/** The server of a pool without sandboxes. */
class StandInServer {
  readonly #removed = deferred<void>();
  readonly removed = this.#removed.promise;
  isRemoved = false;

  async remove(): Promise<void> {
    this.isRemoved = true;
    this.#removed.resolve();
  }
}

const never = () => new Promise<boolean>(() => {});

describe('a pool is held', () => {
  it('until it is told to end, also while its creator says nothing', async () => {
    const [server, ending] = [new StandInServer(), new AbortController()];
    const held = untilRemoved(server, ending.signal, never);
    ending.abort();
    await held;
    const other = new StandInServer();
    await untilRemoved(other, AbortSignal.abort(), never);
    assert.deepEqual([server.isRemoved, other.isRemoved], [true, true]);
  });

  it('until somebody removes it while its creator says nothing', async () => {
    const server = new StandInServer();
    const held = untilRemoved(server, new AbortController().signal, never);
    await server.remove();
    await held;
  });

  it('no longer than its creator, if that has not got the name', async () => {
    const server = new StandInServer();
    await untilRemoved(server, new AbortController().signal, async () => false);
    assert.ok(server.isRemoved);
  });

  it('on when its creator has the name', async () => {
    const server = new StandInServer();
    const held = untilRemoved(server, new AbortController().signal, async () => true);
    await new Promise(setImmediate);
    assert.ok(!server.isRemoved);
    await server.remove();
    await held;
  });
});
