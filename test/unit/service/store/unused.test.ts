/** The state of a service of which a killed process has left something. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { overlayLink } from '../../../../src/sandbox/devices/overlay-server.js';
import { stateBase } from '../../../../src/sandbox/state/state-directory.js';
import { endLeftAndRefuseContainers } from '../../../../src/service/store/unused.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { sphere } from '../../../../src/util/sphere.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** What is left of a sandbox with that overlay. @param isStuck it cannot be removed */
function leave(t: TestContext, kept: string, isStuck: boolean) {
  const name = uniqueName();
  const directory = join(stateBase(), name);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  // Others who remove what is left in passing cannot either.
  if (isStuck) execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
  t.after(() => {
    if (isStuck) execFileSync('umount', ['--lazy', directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  // This process, had it been started at another time.
  writeFileSync(join(directory, 'owner'), `${process.pid} 1 ${sphere()} 1\n`, { mode: 0o600 });
  symlinkSync(kept, overlayLink(directory));
  return { name, directory };
}

describe('a state that a killed process had', { skip: unlessRoot('it mounts') }, () => {
  it('is free when that has ended', async (t) => {
    const kept = scratchDirectory(t);
    const { directory } = leave(t, kept, false);
    await endLeftAndRefuseContainers('web', kept, undefined);
    assert.equal(existsSync(directory), false);
  });

  it('is in use by what does not end, and the error says what that is, and why', async (t) => {
    const kept = scratchDirectory(t);
    const { name } = leave(t, kept, true);
    await assert.rejects(endLeftAndRefuseContainers('web', kept, undefined), (error) => {
      assert.ok(error instanceof SandboxError);
      assert.equal(error.code, 'service-state-left');
      assert.match(error.message, /^the service "web" cannot have its state: the overlay in "[^"]*" is in use by what/);
      assert.match(error.message, new RegExp(`left of the sandbox ${name}: .*: [^:]*busy`));
      assert.match(error.remedy, /see dmesg$/);
      assert.ok(error.cause instanceof SandboxError && error.cause.cause instanceof Error);
      return true;
    });
    // Nothing is tried then.
    await assert.rejects(endLeftAndRefuseContainers('web', kept, AbortSignal.abort()), {
      code: 'aborted',
      message: 'the work on the service "web" was cancelled',
    });
  });
});
