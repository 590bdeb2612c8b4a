/** Helper programs that the launcher runs in the guest. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { CallFlag, Proc } from '../../../../src/protocol/wire.js';
import { Guest, runPayload } from './driver.js';
import { allGone, scratch } from './machine.js';

const { errno, signals } = constants;

function decodeRun(result: Buffer): { status: number; output: string } {
  assert.equal(result.readUInt32BE(4), result.length - 8);
  return { status: result.readInt32BE(0), output: result.toString('latin1', 8) };
}

describe('RUN', () => {
  test('returns the status and both outputs of a helper', async (t) => {
    const guest = await Guest.start(t);
    const run = async (payload: Buffer) => decodeRun(await guest.ok(Proc.RUN, payload));
    assert.deepEqual(await run(runPayload(['sh', '-c', 'echo out; echo err >&2; exit 3'])), {
      status: 3 << 8,
      output: 'out\nerr\n',
    });
    assert.deepEqual(await run(runPayload(['sh', '-c', 'kill -KILL $$'])), { status: signals.SIGKILL, output: '' });
    assert.deepEqual(await run(runPayload(['env'], { environment: ['PATH=/usr/bin:/bin', 'A=b'] })), {
      status: 0,
      output: 'PATH=/usr/bin:/bin\nA=b\n',
    });
    await guest.finish();
  });

  test('passes stdin to it', async (t) => {
    const guest = await Guest.start(t);
    const stdin = Buffer.alloc(200_000, 'z');
    assert.equal(decodeRun(await guest.ok(Proc.RUN, runPayload(['wc', '-c'], { stdin }))).output.trim(), '200000');
    assert.equal(decodeRun(await guest.ok(Proc.RUN, runPayload(['true'], { stdin }))).status, 0);
    await guest.finish();
  });

  test('keeps the last 65536 bytes', async (t) => {
    const guest = await Guest.start(t);
    const { output } = decodeRun(await guest.ok(Proc.RUN, runPayload(['seq', '1', '100000'])));
    const whole = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`).join('');
    assert.equal(output, whole.slice(-65_536));
    await guest.finish();
  });

  test('kills a helper that takes too long, and all of its processes', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    // Known by an argument: it may be killed before it could say its number.
    const script = `sh -c 'while :; do sleep 1; done' ${directory} & wait`;
    const start = Date.now();
    const detail = await guest.fails(
      errno.ETIMEDOUT,
      Proc.RUN,
      runPayload(['sh', '-c', script], { timeout: 300 }),
      CallFlag.TOLERATE,
    );
    assert.match(detail, /^run\(sh\): /);
    const took = Date.now() - start;
    assert.ok(took >= 300, `${took} ms`);
    await allGone(directory);
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload(['true'], { timeout: 0 }), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload(['true'], { timeout: 60_001 }), CallFlag.TOLERATE);
    await guest.finish();
  });

  test('does not wait for a daemon that keeps the output open', async (t) => {
    const guest = await Guest.start(t);
    const { output } = decodeRun(
      await guest.ok(Proc.RUN, runPayload(['sh', '-c', 'sleep 1000 & echo done'], { timeout: 5000 })),
    );
    assert.equal(output, 'done\n');
    await guest.finish();
  });

  test('reports a helper that cannot be started', async (t) => {
    const guest = await Guest.start(t);
    const detail = await guest.fails(errno.ENOENT, Proc.RUN, runPayload(['no-such-helper']), CallFlag.TOLERATE);
    assert.equal(detail, 'execve(no-such-helper): No such file or directory');
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload([]), CallFlag.TOLERATE);
    await guest.finish();
  });
});
