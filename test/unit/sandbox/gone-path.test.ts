/** How often a container is started when a path of the host has gone that it was to bind or to cover. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { StepError } from '../../../init/common/drive.js';
import { domainError } from '../../../src/libvirt/errors.js';
import { OperationError } from '../../../src/protocol/operations.js';
import { startDespiteGone } from '../../../src/sandbox/gone-path.js';
import type { LaunchOptions } from '../../../src/sandbox/types.js';
import { SandboxError } from '../../../src/util/errors.js';

const GONE = domainError('x', "Failure in libvirt_lxc startup: Failed to access '/a': No such file or directory");
const OTHER = domainError('x', 'no such container');
const LONG = 60_000;

/** Attempts that fail with these errors, one after the other, and then start. */
function failing(errors: readonly Error[], hasBegun = false) {
  let count = 0;
  const choices: string[] = [];
  const attempt = () => ({
    hasBegun,
    start: async () => {
      const error = errors[count++];
      if (error !== undefined) throw error;
      return 'started';
    },
  });
  return { attempt, choices, onChoice: (choice: string) => choices.push(choice), count: () => count };
}

test('it is started again, and says why', async () => {
  const { attempt, choices, onChoice } = failing([GONE, GONE]);
  assert.equal(await startDespiteGone(attempt, LONG, { onChoice }), 'started');
  assert.deepEqual(choices, Array(2).fill(`mounts: started again, because ${GONE.message}`));
});

test('it is started again where the init was to cover what the host has removed', async () => {
  const hiding = (step: string, errno: number) =>
    new SandboxError({
      ...{ stage: 'init', code: 'init-step-failed', message: 'no', remedy: '' },
      cause: new StepError(step, new OperationError('mount', errno, 'no')),
    });
  const { ENOENT, EACCES } = constants.errno;
  const { attempt, count } = failing([hiding('hide', ENOENT)], true);
  assert.equal(await startDespiteGone(attempt, LONG, {}), 'started');
  assert.equal(count(), 2);
  const breakpoint = {} as NonNullable<LaunchOptions['breakpoint']>;
  const stopped = failing([hiding('hide', ENOENT)], true);
  await assert.rejects(startDespiteGone(stopped.attempt, LONG, { breakpoint }));
  assert.equal(stopped.count(), 1);
  for (const error of [hiding('hide', EACCES), hiding('mounts', ENOENT)])
    await assert.rejects(startDespiteGone(failing([error], true).attempt, LONG, {}), error);
});

test('it is started six times at most', async () => {
  const { attempt, count } = failing(Array(7).fill(GONE));
  await assert.rejects(startDespiteGone(attempt, LONG, {}), GONE);
  assert.equal(count(), 6);
});

const ONCE: [string, ReturnType<typeof failing>, number, Error][] = [
  ['for another error', failing([OTHER]), LONG, OTHER],
  ['where the guest has begun, whatever it says', failing([GONE], true), LONG, GONE],
  ['when its time is over', failing([GONE]), -1, GONE],
];
for (const [when, { attempt, count }, limit, error] of ONCE)
  test(`it is started once ${when}`, async () => {
    await assert.rejects(startDespiteGone(attempt, limit, {}), error);
    assert.equal(count(), 1);
  });

test('it is started once when it was given up, which is what is said then', async () => {
  const signal = AbortSignal.abort();
  for (const limit of [LONG, -1]) {
    const { attempt, count } = failing([GONE]);
    await assert.rejects(startDespiteGone(attempt, limit, { signal }), { code: 'aborted', cause: signal.reason });
    assert.equal(count(), 1);
  }
});
