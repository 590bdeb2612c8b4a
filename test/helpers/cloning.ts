/** Clones a service in places of a test: node cloning.js DIRECTORY SOURCE NAME. No source runs. */
import { cloneService } from '../../src/service/clone/clone.js';
import { SandboxError } from '../../src/util/errors.js';
import { placesBelow } from './service-places.js';

const [, , directory = '', source = '', name = ''] = process.argv;
const roots = placesBelow(directory);
const control = { connect: async () => undefined, start: async () => {} };
try {
  await cloneService(roots, [source, name], { whenRunning: 'refuse', newHostKeys: false, control });
} catch (error) {
  console.error(error instanceof SandboxError ? error.code : error);
  process.exitCode = 1;
}
