/**
 * Resolves the image of a root with the module set $2 in the store $1, in a process of its own, and prints its timings in
 * milliseconds as JSON.
 */
import { resolveImage } from '../../src/image/resolve.js';
import { hostProgram } from '../../src/util/programs.js';

const [storeDirectory = '', set = ''] = process.argv.slice(2);
const { fresh, timings } = await resolveImage({
  kernel: { version: undefined, path: undefined, modulesPath: undefined },
  sets: ['console', set],
  nativeInit: hostProgram('init'),
  storeDirectory,
});
process.stdout.write(JSON.stringify({ fresh, timings }));
