/** An image that is meant by the digest of its manifest, whatever its name means by now. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { keepManifest } from '../../../../src/oci/pull/keep-manifest.js';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { pruneStore } from '../../../../src/oci/store/remove.js';
import { listTags } from '../../../../src/oci/store/tags.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage, writeLayout } from '../../../helpers/oci/image.js';
import { image, UPPER, withImage } from '../../../helpers/oci/registered-image.js';
import { blobRequests } from '../../../helpers/oci/registry.js';
import { imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const other = testImage([UPPER]);
const manifest = image.manifest.digest;

describe('the image of a manifest', () => {
  it('is in the store under the name with its digest when its own means another one, and nobody is asked', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const named = imageOf(registry);
    const first = await pull(registry, store);
    await keepManifest(named, first.tag, store.options);
    first.release();
    registry.add(other, 'v1');
    (await pull(registry, store)).release();
    await pruneStore(store.paths);
    const { length } = registry.requests;
    for (const policy of ['always', 'missing', 'never'] as const) {
      const found = await obtainImage(named, policy, { ...store.options, manifest });
      assert.deepEqual([found.tag.manifest, found.root.id], [manifest, first.root.id]);
      found.release();
    }
    assert.equal(registry.requests.length, length);
    const now = await obtainImage(named, 'missing', store.options);
    assert.equal(now.tag.manifest, other.manifest.digest);
  });

  it('is fetched by its digest, and its name goes on meaning another one', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    registry.add(other, 'v1');
    (await pull(registry, store)).release();
    await rejectsWith(
      obtainImage(imageOf(registry), 'never', { ...store.options, manifest }),
      'image-not-pulled',
      new RegExp(manifest),
    );
    const { tag } = await obtainImage(imageOf(registry), 'missing', { ...store.options, manifest });
    assert.equal(tag.manifest, manifest);
    assert.equal(blobRequests(registry)[`/v2/test/image/blobs/${image.layers[0]?.digest}`], 1);
    assert.deepEqual(
      listTags(store.paths).map((one) => one.manifest),
      [other.manifest.digest, manifest],
    );
  });

  it('is that of a file as it was, until another one is read from there', async (context) => {
    const store = testStore(context);
    const directory = join(scratchDirectory(context), 'image');
    const named = parseRootImage(`oci:${directory}`);
    const write = ({ blobs, manifest: blob }: typeof image) => {
      rmSync(directory, { recursive: true, force: true });
      writeLayout(directory, blobs, [{ blob }]);
    };
    write(image);
    (await obtainImage(named, 'missing', store.options)).release();
    write(other);
    const kept = await obtainImage(named, 'missing', { ...store.options, manifest });
    assert.equal(kept.tag.manifest, manifest);
    kept.release();
    (await obtainImage(named, 'missing', store.options)).release();
    await rejectsWith(
      obtainImage(named, 'missing', { ...store.options, manifest }),
      'image-replaced',
      /put back what it was read from/,
    );
    write(image);
    assert.equal((await obtainImage(named, 'missing', { ...store.options, manifest })).tag.manifest, manifest);
  });
});
