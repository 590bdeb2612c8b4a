/** Pulls an image as a process of its own: `node pull-program.js STORE REFERENCE [hold]`. Prints the id of its root. */
import { pullImage } from '../../../src/oci/pull/pull.js';
import { StorePaths } from '../../../src/oci/store/store-paths.js';
import { parseRootImage } from '../../../src/oci-names/root-image.js';
import { SandboxError } from '../../../src/util/errors.js';
import { IMPATIENT } from './registry.js';
import { AMD64 } from './store.js';

const [, , directory = '', reference = '', hold] = process.argv;
try {
  const { root } = await pullImage(parseRootImage(reference), {
    paths: new StorePaths(directory),
    platform: AMD64,
    registry: { patience: IMPATIENT, environment: { HOME: directory } },
  });
  process.stdout.write(`${root.id}\n`);
  // It has its lease until it is killed.
  if (hold !== undefined) process.stdin.resume();
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  process.stdout.write(`${error.code}\n`);
}
