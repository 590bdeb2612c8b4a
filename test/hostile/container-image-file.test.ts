/**
 * Promise: the host's kernel mounts the file system of a container's image only if nobody but root could have written
 * it, or could while it is mounted. The attacker owns the file, a directory above it, or the whole store of root.
 */
import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const skip = lxc.skip || unlessBusyboxImage;
const NOBODY = 65_534;

it('the image of a container is not mounted from a file that somebody else may write to', { skip }, async (t) => {
  const image = scratchImage(t);
  const cache = scratchDirectory(t);
  const run = () =>
    runSandbox(['-c', lxc.uri, '--root', image, '--', 'true'], { ...lxc.options, env: { XDG_CACHE_HOME: cache } });
  assertRun(await run(), 0, '');
  const roots = join(cache, 'virt-sandbox/oci/roots');
  const [id = ''] = readdirSync(roots).filter((name) => !name.startsWith('.'));
  const pattern = /the host's kernel mounts .* not only root's: .*/;
  for (const path of [join(roots, id), join(roots, id, 'root.erofs')]) {
    chownSync(path, NOBODY, NOBODY);
    assertFailure(await run(), new RegExp(`${pattern.source}${path} belongs to user ${NOBODY}`));
    chownSync(path, 0, 0);
  }
  chmodSync(join(roots, id, 'root.erofs'), 0o446);
  assertFailure(await run(), new RegExp(`${pattern.source}everybody may write`));
  chmodSync(join(roots, id, 'root.erofs'), 0o444);
  // The whole store is another user's: it is not even looked into.
  chownSync(join(cache, 'virt-sandbox/oci'), NOBODY, NOBODY);
  assertFailure(await run(), /images are not kept in/);
  chownSync(join(cache, 'virt-sandbox/oci'), 0, 0);
  assertRun(await run(), 0, '');
});
