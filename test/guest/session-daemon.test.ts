/** A daemon of a session that cannot start: the launcher says so soon, and does without one unless it was named. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, runSandbox } from '../helpers/run.js';

describe("a session's daemon that cannot start", { skip: unlessOrdinaryUser() || unlessServingKernel }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
    writeFileSync(join(user.home, 'virtqemud'), '#!/bin/sh\nexit 3\n', { mode: 0o755 });
  });
  after(() => user.end());

  it('is an error where the session was named', async () => {
    const args = ['-c', 'qemu:///session', ...ACCEL, '--', 'true'];
    const env = { ...user.options.env, XDG_RUNTIME_DIR: '/proc/none' };
    const result = await runSandbox(args, { ...user.options, env });
    assertFailure(result, /cannot connect to qemu:\/\/\/session: .*was started and does not listen: it ended with/);
  });

  it('is a reason for the embedded driver where none was', async () => {
    const args = [...ACCEL, '-v', '-n', uniqueName(), '--', 'echo', 'inside'];
    const env = { ...user.options.env, PATH: `${user.home}:${process.env['PATH']}` };
    const result = await runSandbox(args, { ...user.options, env });
    assert.deepEqual([result.code, result.out], [0, 'inside\n'], result.stderr);
    assert.match(
      result.stderr,
      /the embedded driver, because no daemon answers .*does not listen: it ended with status 3/,
    );
  });
});
