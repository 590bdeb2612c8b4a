/** The lock of a service: what is told when the work under it fails, and when the lock itself cannot be let go. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { lockPath, withServiceLock } from '../../../../src/service/store/lock.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { placesBelow } from '../../../helpers/service-places.js';

/** Puts a directory where the file of the lock is, which nobody can remove as a file. */
function spoil(roots: ServiceRoots, name: string): void {
  rmSync(lockPath(roots, name));
  mkdirSync(lockPath(roots, name));
}

describe('withServiceLock', () => {
  it('leaves no file of a service that is not there', async (context) => {
    const roots = placesBelow(scratchDirectory(context));
    assert.equal(await withServiceLock(roots, 'web', 'exclusive', async () => 1), 1);
    assert.equal(existsSync(lockPath(roots, 'web')), false);
  });

  it('tells what became of the work, not of the lock', async (context) => {
    const roots = placesBelow(scratchDirectory(context));
    const failed = withServiceLock(roots, 'web', 'exclusive', async () => {
      spoil(roots, 'web');
      throw new Error('the work');
    });
    await assert.rejects(failed, /^Error: the work$/);
  });

  it('tells of a lock that cannot be let go', async (context) => {
    const roots = placesBelow(scratchDirectory(context));
    const failed = withServiceLock(roots, 'web', 'exclusive', async () => spoil(roots, 'web'));
    await rejectsWith(failed, 'service-directory-unusable', /cannot be kept in/);
  });
});
