/** Names that were given in the store, for one platform of several. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { tagImage } from '../../../../src/oci/store/list.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage } from '../../../helpers/oci/image.js';
import { imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const amd = testImage([tarOf({ name: 'a', data: 'amd' })]);
const arm = testImage([tarOf({ name: 'a', data: 'arm' })], { architecture: 'arm64' });

it('a name that was given here is asked of no registry, for whatever platform', async (context) => {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  registry.add(amd, 'v1');
  // Somebody else has that name in the registry.
  registry.add(arm, 'mine');
  const { tag } = await pull(registry, store);
  await tagImage(store.paths, tag, `docker://${imageIn(registry, 'mine')}`);
  const mine = imageOf(registry, 'mine');
  const other = { ...store.options, platform: parsePlatform('arm64') };
  const { length } = registry.requests;
  for (const policy of ['missing', 'always'] as const)
    await rejectsWith(obtainImage(mine, policy, other), 'image-local', /for linux\/amd64 only/, /--platform/);
  await rejectsWith(obtainImage(mine, 'never', other), 'image-not-pulled');
  assert.equal(registry.requests.length, length);
  // Until somebody pulls it.
  assert.equal((await pullImage(mine, other)).tag.manifest, arm.manifest.digest);
  assert.equal((await obtainImage(mine, 'always', other)).tag.manifest, arm.manifest.digest);
  await rejectsWith(obtainImage(mine, 'always', store.options), 'image-local', /leave out --pull always/);
});
