/** Clones a service in places of a test: node cloning.js DIRECTORY SOURCE NAME. No source runs. */
import { join } from 'node:path';
import { cloneService } from '../../src/service/clone/clone.js';
import { SandboxError } from '../../src/util/errors.js';

const [, , directory = '', source = '', name = ''] = process.argv;
const roots = {
  scope: 'system',
  services: join(directory, 'services'),
  directories: join(directory, 'filesystems'),
  images: join(directory, 'images'),
  lives: join(directory, 'lives'),
} as const;
const control = { connect: async () => undefined, start: async () => {} };
try {
  await cloneService(roots, [source, name], { whenRunning: 'refuse', newHostKeys: false, control });
} catch (error) {
  console.error(error instanceof SandboxError ? error.code : error);
  process.exitCode = 1;
}
