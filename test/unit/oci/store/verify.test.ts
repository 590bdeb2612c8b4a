/** Listing, naming and verifying the images of a store. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { findImage } from '../../../../src/oci/inspect/find-image.js';
import { lockFile } from '../../../../src/oci/lock.js';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { listImages, manifestOfTag, tagImage } from '../../../../src/oci/store/list.js';
import { removeImage } from '../../../../src/oci/store/remove.js';
import { withSharedLock } from '../../../../src/oci/store/store-lock.js';
import { verifyImage } from '../../../../src/oci/store/verify.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { holdsDuring } from '../../../helpers/meanwhile.js';
import { testImage, testIndex } from '../../../helpers/oci/image.js';
import { startRegistry } from '../../../helpers/oci/registry.js';
import { damage, imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const image = testImage([tarOf({ name: 'a', data: 'lower' }), tarOf({ name: 'b', data: 'upper' })]);

async function withImage(context: TestContext) {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  registry.add(image, 'v1');
  return { registry, store, ...(await pull(registry, store)) };
}

describe('the images of a store', () => {
  it('are listed with their users', async (context) => {
    const { store, tag, root } = await withImage(context);
    const [listed, ...others] = listImages(store.paths);
    assert.deepEqual(others, []);
    assert.deepEqual([listed?.tag, listed?.root, listed?.usedBy], [tag, root, [process.pid]]);
    assert.ok(Math.abs(Date.now() - Number(listed?.lastUsed)) < 3_600_000);
    assert.equal(manifestOfTag(store.paths, tag).layers.length, 2);
  });

  it('may have several names', async (context) => {
    const { registry, store, tag, root } = await withImage(context);
    const mine = parseRootImage('docker://mine:1');
    await tagImage(store.paths, tag, 'docker://docker.io/library/mine:1');
    const found = await obtainImage(mine, 'never', store.options);
    assert.equal(found.root.id, root.id);
    assert.equal((await obtainImage(imageOf(registry), 'never', store.options)).root.id, root.id);
    assert.equal(listImages(store.paths).length, 2);
  });

  it('are found by name, and by platform where there are several', async (context) => {
    const { registry, store, tag } = await withImage(context);
    assert.deepEqual(findImage(store.paths, tag.name), tag);
    const arm = testImage([tarOf({ name: 'arm' })], { architecture: 'arm64' });
    registry.addBlob(...arm.blobs);
    registry.add(image, 'v1', testIndex([{ blob: arm.manifest, platform: 'linux/arm64' }]));
    await pull(registry, store, 'v1', { platform: parsePlatform('arm64') });
    throwsWith(() => findImage(store.paths, tag.name), 'image-ambiguous', /linux\/amd64, linux\/arm64/);
    assert.equal(findImage(store.paths, tag.name, 'linux/arm64').manifest, arm.manifest.digest);
    throwsWith(() => findImage(store.paths, 'docker://x'), 'image-not-found');
  });
});

describe('an image', () => {
  it('that is whole has no damage', async (context) => {
    const { store, tag } = await withImage(context);
    assert.deepEqual(await verifyImage(store.paths, tag), []);
  });

  it('that is damaged says where, and is repaired by a pull', async (context) => {
    const { registry, store, tag, root, release } = await withImage(context);
    const { paths } = store;
    release();
    const [lower, upper] = image.layers;
    assert.ok(lower !== undefined && upper !== undefined);
    const before = readFileSync(root.path);
    damage(root.path);
    damage(paths.blob(lower.digest));
    chmodSync(paths.blob(upper.digest), 0o600);
    truncateSync(paths.blob(upper.digest), 1);
    damage(paths.blob(tag.config));
    const damages = await verifyImage(paths, tag, { remove: true });
    assert.deepEqual(
      damages.map(({ path }) => path),
      [paths.blob(tag.config), paths.blob(lower.digest), paths.blob(upper.digest), root.path],
    );
    assert.match(damages.map(({ problem }) => problem).join(), /^is missing or damaged,has another content,is missing/);
    const again = await obtainImage(imageOf(registry), 'missing', store.options);
    assert.ok(readFileSync(again.root.path).equals(before));
    assert.deepEqual(await verifyImage(paths, again.tag), []);
  });

  it('that is damaged and in use keeps its file system', async (context) => {
    const { store, tag, root, release } = await withImage(context);
    damage(root.path);
    const [kept] = await verifyImage(store.paths, tag, { remove: true });
    assert.deepEqual(kept, { path: root.path, problem: 'has another content; it is in use, and stays' });
    assert.ok(existsSync(root.path));
    release();
    assert.equal((await verifyImage(store.paths, tag, { remove: true })).length, 1);
    assert.ok(!existsSync(root.path));
  });

  it('that a pull repairs while it is read is not removed', async (context) => {
    const { store, tag } = await withImage(context);
    const { paths } = store;
    const [layer] = image.layers;
    assert.ok(layer !== undefined);
    damage(paths.blob(layer.digest));
    const pulling = await lockFile(paths.lock, 'shared');
    // One who is about to remove makes it again.
    rmSync(paths.locks, { recursive: true });
    const verifying = verifyImage(paths, tag, { remove: true });
    await holdsDuring(verifying, () => existsSync(paths.locks));
    assert.ok(existsSync(paths.blob(layer.digest)));
    writeFileSync(paths.blob(layer.digest), layer.bytes);
    await pulling?.close();
    assert.deepEqual(await verifying, []);
    assert.ok(readFileSync(paths.blob(layer.digest)).equals(layer.bytes));
  });

  it('that is damaged is removed before pulls that began later', async (context) => {
    const { store, tag } = await withImage(context);
    const { paths } = store;
    damage(paths.blob(tag.manifest));
    const order: string[] = [];
    const pulling = await lockFile(paths.lock, 'shared');
    let later: Promise<unknown> | undefined;
    const onWait = () => {
      order.push('waits');
      later = withSharedLock(paths, undefined, async () => order.push('pulled'));
      // The one before it ends.
      void pulling?.close();
    };
    await verifyImage(paths, tag, { remove: true, onWait }).then(() => order.push('removed'));
    await later;
    assert.deepEqual(order, ['waits', 'removed', 'pulled']);
    assert.ok(!existsSync(paths.blob(tag.manifest)));
  });

  it('whose file system is being read is left when the work is cancelled', async (context) => {
    const { store, tag } = await withImage(context);
    // Its layers are not read then.
    rmSync(store.paths.blob(tag.manifest));
    const signal = AbortSignal.abort();
    await rejectsWith(verifyImage(store.paths, tag, { signal, remove: true }), 'aborted');
  });

  it('that is gone gets no further name', async (context) => {
    const { store, tag, release } = await withImage(context);
    release();
    await removeImage(store.paths, tag.name);
    await rejectsWith(tagImage(store.paths, tag, 'docker://docker.io/library/mine:1'), 'image-not-found');
    assert.deepEqual(store.files(), []);
  });

  it('whose manifest and file system are gone says so', async (context) => {
    const { store, tag, root } = await withImage(context);
    rmSync(store.paths.blob(tag.manifest));
    rmSync(root.path);
    assert.equal((await verifyImage(store.paths, tag)).length, 2);
  });
});
