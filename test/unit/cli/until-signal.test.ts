/** What a command exits with when a signal came. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { untilSignal } from '../../../src/cli/until-signal.js';
import { throwIfAborted } from '../../../src/oci/cancel.js';

const notReported = async (): Promise<never> => {
  throw new Error('there is nothing to report');
};

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
      assert.equal(await untilSignal(work, notReported), status);
    });

    it(`exits with ${status} when ${name} comes too late, and says what was done`, async () => {
      const work = async () => {
        await arrives();
        return 'done';
      };
      const reported: string[] = [];
      const report = async (result: string) => reported.push(result) - 1;
      assert.equal(await untilSignal(work, report), status);
      assert.deepEqual(reported, ['done']);
    });

    it(`exits with ${status} when ${name} comes while its reader is slow`, async () => {
      const report = async () => {
        await arrives();
        return new Promise<number>(() => {});
      };
      assert.equal(await untilSignal(async () => 'done', report), status);
    });
  }

  it('exits as it ends without one', async () => {
    const fails = async () => {
      throw new RangeError('x');
    };
    assert.equal(
      await untilSignal(
        async () => 1,
        async (result) => result + 1,
      ),
      2,
    );
    await assert.rejects(untilSignal(fails, notReported), RangeError);
    await assert.rejects(
      untilSignal(async () => 1, fails),
      RangeError,
    );
  });
});
