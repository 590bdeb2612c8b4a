/**
 * Resolves the image of a 9p root in the store $1, in a process of its own, and prints its timings in milliseconds as
 * JSON.
 */
import { resolveImage } from '../../src/image/resolve.js';
import { hostProgram } from '../../src/util/programs.js';

const { fresh, timings } = await resolveImage({
  kernel: { version: undefined, path: undefined, modulesPath: undefined },
  sets: ['console', 'root-9p'],
  nativeInit: hostProgram('init'),
  storeDirectory: process.argv[2] ?? '',
});
process.stdout.write(JSON.stringify({ fresh, timings }));
