/** Images of the store of which something is missing or damaged: what is made or fetched again, and of whom. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findPulled } from '../../../../src/oci/pull/find.js';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { tagImage } from '../../../../src/oci/store/list.js';
import { listTags, writeTag } from '../../../../src/oci/store/tags.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage } from '../../../helpers/oci/image.js';
import { image, LOWER, UPPER, withImage } from '../../../helpers/oci/registered-image.js';
import { blobRequests, imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { damage, imageOf, pull, testStore } from '../../../helpers/oci/store.js';

describe('an image', () => {
  it('whose file system is gone or damaged is made again of its layers', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { root } = await pull(registry, store);
    const { length } = registry.requests;
    const before = readFileSync(root.path);
    rmSync(join(root.path, '..'), { recursive: true });
    assert.equal((await findPulled(imageOf(registry), store.options))?.root.path, root.path);
    assert.ok(readFileSync(root.path).equals(before));
    truncateSync(root.path, 100);
    await obtainImage(imageOf(registry), 'never', store.options);
    assert.ok(readFileSync(root.path).equals(before));
    assert.equal(registry.requests.length, length);
  });

  it('whose file system another version has made gets one of this version, and its name means that', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { root, tag } = await pull(registry, store);
    await writeTag(store.paths, { ...tag, root: '0'.repeat(64) });
    // Of one that is there, and of one that is not.
    for (const isThere of [true, false]) {
      if (!isThere) rmSync(join(root.path, '..'), { recursive: true });
      const found = await findPulled(imageOf(registry), store.options);
      assert.deepEqual([found?.root.path, found?.tag], [root.path, tag]);
      assert.deepEqual(listTags(store.paths), [tag]);
      await writeTag(store.paths, { ...tag, root: '0'.repeat(64) });
    }
  });

  it('whose config is damaged is pulled again', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { tag } = await pull(registry, store);
    const path = store.paths.blob(tag.config);
    const text = readFileSync(path, 'utf8');
    rmSync(path);
    writeFileSync(path, text.replace('/bin/x', '/bin/y'));
    await rejectsWith(obtainImage(imageOf(registry), 'never', store.options), 'store-damaged', /pull the image again/);
    const { config } = await obtainImage(imageOf(registry), 'missing', store.options);
    assert.deepEqual(config.command, ['/bin/x']);
    assert.equal(readFileSync(path, 'utf8'), text);
  });

  it('whose documents are damaged is fetched again as it was, whatever its name means by now', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { tag } = await pull(registry, store);
    rmSync(store.paths.blob(tag.manifest));
    registry.add(testImage([UPPER]), 'v1');
    const again = await obtainImage(imageOf(registry), 'missing', store.options);
    const { pulled: _before, ...same } = tag;
    const { pulled: _after, ...found } = again.tag;
    assert.deepEqual(found, same);
    assert.equal(listTags(store.paths).length, 1);
  });

  it('whose name was given here is asked of no registry', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { tag, root } = await pull(registry, store);
    // The registry has another image that is called so.
    registry.add(testImage([UPPER]), 'mine');
    const mine = imageOf(registry, 'mine');
    await tagImage(store.paths, tag, `docker://${imageIn(registry, 'mine')}`);
    const { length } = registry.requests;
    assert.equal((await obtainImage(mine, 'missing', store.options)).root.id, root.id);
    await rejectsWith(obtainImage(mine, 'always', store.options), 'image-local', /given here/);
    const rest = [
      () => rmSync(join(root.path, '..'), { recursive: true }),
      () => rmSync(store.paths.blob(tag.manifest)),
    ];
    for (const { digest } of image.layers) rmSync(store.paths.blob(digest));
    for (const remove of rest) {
      remove();
      for (const policy of ['missing', 'never'] as const)
        await rejectsWith(obtainImage(mine, policy, store.options), 'store-damaged', new RegExp(tag.manifest));
    }
    assert.equal(registry.requests.length, length);
    // Asked for by itself it is pulled, and is the registry's from then on.
    assert.notEqual((await pull(registry, store, 'mine')).root.id, root.id);
    await obtainImage(mine, 'always', store.options);
  });

  for (const compression of ['none', 'gzip'] as const)
    for (const policy of ['missing', 'always'] as const)
      it(`whose layer (${compression}) is damaged gets it again with ${policy}`, async (context) => {
        const [registry, store] = [await startRegistry(context), testStore(context)];
        const packed = testImage([LOWER, UPPER], { compression });
        registry.add(packed, 'v1');
        const { root } = await pull(registry, store);
        const before = readFileSync(root.path);
        rmSync(join(root.path, '..'), { recursive: true });
        for (const { digest } of packed.layers) damage(store.paths.blob(digest));
        const again = await obtainImage(imageOf(registry), policy, store.options);
        assert.ok(readFileSync(again.root.path).equals(before));
        for (const { digest, bytes } of packed.layers) {
          assert.equal(blobRequests(registry)[`/v2/test/image/blobs/${digest}`], 2);
          assert.ok(readFileSync(store.paths.blob(digest)).equals(bytes));
        }
        assert.deepEqual(readdirSync(store.paths.partials), []);
      });

  it('whose layer is gone gets it with the next pull, and keeps its file system', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { root } = await pull(registry, store);
    const { ino } = statSync(root.path);
    const [lower] = image.layers;
    assert.ok(lower !== undefined);
    rmSync(store.paths.blob(lower.digest));
    await pull(registry, store);
    assert.ok(readFileSync(store.paths.blob(lower.digest)).equals(lower.bytes));
    assert.equal(statSync(root.path).ino, ino);
  });

  it('whose layer is damaged says so with never', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { root } = await pull(registry, store);
    rmSync(join(root.path, '..'), { recursive: true });
    const [lower] = image.layers;
    assert.ok(lower !== undefined);
    damage(store.paths.blob(lower.digest));
    const pattern = new RegExp(`blob ${lower.digest} .* is missing or damaged; pull the image again`);
    await rejectsWith(obtainImage(imageOf(registry), 'never', store.options), 'store-damaged', pattern);
    assert.deepEqual(readdirSync(store.paths.partials), []);
  });
});
