/** Directories on which tests mount something, in the mount namespace of the host. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { freshDirectory, WITH_ATTRIBUTES } from './scratch.js';

/**
 * A new directory, with a mount point somewhere in it. A machine of another test, over qemu:///system and with the host's
 * root, may have a copy of what is mounted there (init/root-view), and the kernel removes no directory that has one in
 * this mount namespace. So where scripts/test.mjs runs the tests, it removes the directory when all have ended.
 * @param point where the test mounts, below the directory
 */
export function mountGround(context: Pick<TestContext, 'after'>, point = ''): string {
  const ofRun = process.env['VIRT_SANDBOX_TEST_MOUNTS'];
  const directory = freshDirectory(ofRun ?? WITH_ATTRIBUTES);
  context.after(() => {
    // What a failed test leaves may have a file of it open.
    execFileSync('umount', ['--lazy', `${directory}/${point}`]);
    if (ofRun === undefined) rmSync(directory, { recursive: true });
  });
  return directory;
}
