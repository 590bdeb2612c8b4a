/** What a command exits with when a signal came. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { untilSignal } from '../../../../src/cli/image/until-signal.js';
import { throwIfAborted } from '../../../../src/oci/cancel.js';

describe('work that a signal ends', () => {
  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const arrives = async () => {
      // To wait for a signal keeps no process alive.
      const timer = setInterval(() => {}, 1000);
      const arrived = once(process, name);
      process.kill(process.pid, name);
      await arrived;
      clearInterval(timer);
    };

    it(`exits with ${status} when ${name} calls it off`, async () => {
      const work = async (signal: AbortSignal) => {
        await arrives();
        throwIfAborted(signal);
        return 0;
      };
      assert.equal(await untilSignal(work), status);
    });

    it(`exits with ${status} when ${name} comes too late`, async () => {
      const work = async () => {
        await arrives();
        return 0;
      };
      assert.equal(await untilSignal(work), status);
    });
  }

  it('exits as it ends without one', async () => {
    assert.equal(await untilSignal(async () => 1), 1);
    await assert.rejects(
      untilSignal(async () => {
        throw new RangeError('x');
      }),
      RangeError,
    );
  });
});
