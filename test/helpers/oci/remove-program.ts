/**
 * Removes a file system of a store as a process of its own: `node remove-program.js STORE ID`, once for each line of
 * its input, and prints for each whether it is gone. With a third word, a number, it stops itself before that step
 * and each that follows.
 */
import { createInterface } from 'node:readline';
import { removeRoot } from '../../../src/oci/store/roots.js';
import { withExclusiveLock } from '../../../src/oci/store/store-lock.js';
import { StorePaths } from '../../../src/oci/store/store-paths.js';
import { beforeEachStep } from './steps.js';

const [, , directory = '', id = '', stopAt] = process.argv;
const paths = new StorePaths(directory);
for await (const _line of createInterface(process.stdin)) {
  const isGone = await withExclusiveLock(paths, {}, () => {
    let steps = 0;
    beforeEachStep(() => {
      steps += 1;
      if (steps >= Number(stopAt)) process.kill(process.pid, 'SIGSTOP');
    });
    return removeRoot(paths, id);
  });
  process.stdout.write(`${isGone}\n`);
}
