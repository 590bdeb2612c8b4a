/** How a command in a sandbox of a pool ends for its client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOf } from '../../../src/cli/sandbox/in-pool.js';
import { exitOf, failedEnding, parseEnding } from '../../../src/control/requests.js';
import type { ProcessExit } from '../../../src/sandbox/process/types.js';
import { SandboxError } from '../../../src/util/errors.js';

const EXIT: ProcessExit = { code: 3, signal: undefined, exitCode: 3, timedOut: false };
const failure = (code: string) =>
  new SandboxError({ stage: 'application', code, message: code, remedy: 'none', consoleTail: ['a line'] });
const rejecting = (code: string) => Promise.reject(failure(code));
const ends = (wait: () => Promise<ProcessExit>, exited: Promise<ProcessExit>) => endOf({ wait }, { exited });

test('a command that ends has its own status, whatever becomes of its sandbox then', async () => {
  for (const wait of [async () => EXIT, () => rejecting('guest-panic'), () => rejecting('sandbox-ended')])
    assert.deepEqual(await ends(wait, Promise.resolve(EXIT)), EXIT);
});

test('a command whose sandbox fails has the error of the sandbox', async () => {
  for (const code of ['guest-panic', 'guest-gone', 'stopped'])
    await assert.rejects(
      ends(() => rejecting(code), rejecting('process-lost')),
      { code, consoleTail: ['a line'] },
    );
});

test('a command whose holder is gone has the error of the command', async () => {
  for (const wait of [async () => EXIT, () => rejecting('sandbox-ended'), () => rejecting('control-failed')])
    await assert.rejects(ends(wait, rejecting('process-lost')), { code: 'process-lost' });
});

test('the error that a sandbox ended with goes to another process with the lines of the console', () => {
  const told = parseEnding(JSON.stringify(failedEnding(failure('guest-panic'))));
  assert.ok(told);
  assert.throws(() => exitOf(told), { code: 'guest-panic', consoleTail: ['a line'] });
});
