/**
 * Pulls an image into a store, or finds it there, in a process of its own, as a launcher does: `pull STORE REFERENCE`,
 * `find STORE REFERENCE`. `find` prints the milliseconds of the call.
 */
import { StorePaths } from '../../../src/oci/store/store-paths.js';
import { parsePlatform } from '../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../src/oci-names/root-image.js';

const [, , what = '', store = '', reference = ''] = process.argv;
const image = parseRootImage(reference);
const options = { paths: new StorePaths(store), platform: parsePlatform('amd64') };
if (what === 'pull') {
  const { pullImage } = await import('../../../src/oci/pull/pull.js');
  await pullImage(image, options);
} else {
  const { findPulled } = await import('../../../src/oci/pull/find.js');
  const started = performance.now();
  const found = await findPulled(image, options);
  const took = performance.now() - started;
  if (found === undefined) throw new Error(`${reference} is not in the store`);
  process.stdout.write(`${took}\n`);
}
