/** Pulling images into a store: what is fetched, what is found again, and what two pulls share. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { readKept } from '../../../../src/oci/store/roots.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { startDebianRegistry, unlessDebianRegistry } from '../../../helpers/oci/debian-registry.js';
import { testImage, testIndex, writeLayout } from '../../../helpers/oci/image.js';
import { startPulling } from '../../../helpers/oci/pulling.js';
import { image, LOWER, UPPER, withImage } from '../../../helpers/oci/registered-image.js';
import { blobRequests, imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** Another image on the same lower layer. */
const sibling = testImage([LOWER, tarOf({ name: 'etc/c', data: 'sibling' })]);

describe('an image', () => {
  it('is pulled, and found again without anybody being asked', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { tag, config, root } = await pull(registry, store);
    assert.deepEqual(config.command, ['/bin/x']);
    assert.equal(tag.manifest, image.manifest.digest);
    assert.equal(readFileSync(root.path).readUInt32LE(1024), 0xe0f5e1e2);
    assert.deepEqual([statSync(root.path).mode & 0o777, statSync(root.path).size], [0o444, root.size]);
    assert.equal(store.files().filter((path) => path.startsWith('blobs')).length, 4);
    const { length } = registry.requests;
    const { release, ...found } = await obtainImage(imageOf(registry), 'never', store.options);
    assert.deepEqual(found, { tag, config, root });
    release();
    assert.equal(registry.requests.length, length);
  });

  it('has its passwd and group on the host too, as they are at last', async (context) => {
    const [registry, store] = [await startRegistry(context), testStore(context)];
    const users = testImage([
      tarOf({ name: 'etc/passwd', data: 'lower' }, { name: 'etc/group', data: 'group' }),
      tarOf({ name: 'usr/lib/passwd', data: 'upper' }, { name: 'etc/passwd', type: '2', link: '../usr/./lib/passwd' }),
      tarOf({ name: 'etc/.wh.group' }, { name: 'etc/a', data: 'x' }),
    ]);
    const large = testImage([
      tarOf({ name: 'etc/passwd', data: Buffer.alloc(2 << 20, 'x') }, { name: 'etc/group/', type: '5' }),
    ]);
    const itself = testImage([tarOf({ name: 'etc', type: '2', link: '/etc' })]);
    const linked = testImage([
      tarOf({ name: 'etc/passwd', data: 'both' }, { name: 'etc/group', type: '1', link: 'etc/passwd' }),
    ]);
    const circle = testImage([tarOf({ name: 'etc/passwd', type: '2', link: '/etc/passwd' })]);
    for (const [tag, one, passwd, group] of [
      ['users', users, 'upper', ''],
      ['large', large, '', ''],
      ['circle', circle, '', ''],
      ['itself', itself, '', ''],
      ['linked', linked, 'both', 'both'],
    ] as const) {
      registry.add(one, tag);
      const { root } = await pull(registry, store, tag);
      const kept = (['passwd', 'group'] as const).map((name) => readKept(store.paths, root, name));
      assert.deepEqual(kept, [passwd, group], tag);
    }
  });

  it('is not readable for others', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const { root } = await pull(registry, store);
    const mode = (path: string) => (statSync(join(store.paths.directory, path)).mode & 0o777).toString(8);
    assert.deepEqual(
      ['', 'blobs', 'partial', 'tags', 'locks', 'roots', 'roots/.leases', `roots/${root.id}`].map(mode),
      ['755', '700', '700', '700', '700', '700', '700', '700'],
    );
  });

  it('that shares layers with another fetches only its own', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    registry.add(sibling, 'sibling');
    registry.add(image, 'again');
    await pull(registry, store);
    await pull(registry, store, 'sibling');
    await pull(registry, store, 'again');
    const counts = blobRequests(registry);
    for (const layer of [...image.layers, ...sibling.layers])
      assert.equal(counts[`/v2/test/image/blobs/${layer.digest}`], 1);
  });

  it('is pinned: its tag may move, until it is pulled again', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const first = await pull(registry, store);
    registry.add(sibling, 'v1');
    const found = await obtainImage(imageOf(registry), 'missing', store.options);
    assert.equal(found.tag.manifest, image.manifest.digest);
    const again = await obtainImage(imageOf(registry), 'always', store.options);
    assert.equal(again.tag.manifest, sibling.manifest.digest);
    assert.notEqual(again.root.id, first.root.id);
  });

  it('of an index is that of the platform', async (context) => {
    const [registry, store] = [await startRegistry(context), testStore(context)];
    const arm = testImage([UPPER], { architecture: 'arm64' });
    const index = testIndex([
      { blob: arm.manifest, platform: 'linux/arm64' },
      { blob: image.manifest, platform: 'linux/amd64' },
    ]);
    registry.addBlob(...arm.blobs);
    registry.add(image, 'v1', index);
    const [amd64, arm64] = [
      await pull(registry, store),
      await pull(registry, store, 'v1', { platform: parsePlatform('arm64') }),
    ];
    assert.deepEqual([amd64.tag.manifest, arm64.tag.manifest], [image.manifest.digest, arm.manifest.digest]);
    assert.deepEqual([amd64.tag.top, arm64.tag.top], [index.digest, index.digest]);
    registry.add(arm, 'arm');
    await rejectsWith(pull(registry, store, 'arm'), 'platform-missing', /for linux\/amd64, only for linux\/arm64/);
  });

  it('that is not there is not pulled with never', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    await rejectsWith(obtainImage(imageOf(registry), 'never', store.options), 'image-not-pulled', /linux\/amd64/);
    assert.equal(registry.requests.length, 0);
  });

  it('says how far it is', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const last = new Map<number, number>();
    const phases: string[] = [];
    await pull(registry, store, 'v1', {
      onProgress: (progress) => {
        if (phases.at(-1) !== progress.phase) phases.push(progress.phase);
        if (progress.phase !== 'fetching') return;
        const { layer, layers, bytes, size } = progress;
        assert.ok(layers === 2 && bytes <= size && bytes >= (last.get(layer) ?? 0));
        last.set(layer, bytes);
      },
    });
    assert.deepEqual(
      [...last].sort(),
      image.layers.map(({ size }, at) => [at, size]),
    );
    assert.deepEqual(phases, ['asking', 'fetching', 'merging', 'making', 'done']);
  });

  it('of a registry of others is pulled too', { skip: unlessDebianRegistry() }, async (context) => {
    const [registry, store] = [await startDebianRegistry(context), testStore(context)];
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      const packed = testImage([LOWER, UPPER], { compression });
      await registry.push('test/image', compression, packed);
      const { tag } = await pullImage(
        parseRootImage(`docker://${registry.host}/test/image:${compression}`),
        store.options,
      );
      assert.equal(tag.manifest, packed.manifest.digest);
    }
    // The same layers, however they are packed, are one file system.
    assert.equal(store.files().filter((path) => path.endsWith('root.erofs')).length, 1);
  });
});

describe('two pulls at once', () => {
  it('of one image, in one process and in two, fetch each layer once', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    registry.add(sibling, 'sibling');
    const others = [0, 1].map(() => startPulling(context, store, `docker://${imageIn(registry, 'v1')}`));
    const ids = await Promise.all([
      ...[0, 1].map(async () => (await pull(registry, store)).root.id),
      ...others.map(({ line }) => line),
    ]);
    await pull(registry, store, 'sibling');
    assert.equal(new Set(ids).size, 1);
    const counts = blobRequests(registry);
    for (const { digest } of [...image.layers, ...sibling.layers])
      assert.equal(counts[`/v2/test/image/blobs/${digest}`], 1);
  });
});

describe('an image of this host', () => {
  it('is read again when its file has changed', async (context) => {
    const [store, directory] = [testStore(context), scratchDirectory(context)];
    const path = join(directory, 'root.tar');
    const write = (archive: Buffer) => writeFileSync(path, archive);
    const tar = parseRootImage(`tar:${path}`);
    write(LOWER);
    const first = await obtainImage(tar, 'missing', store.options);
    write(UPPER);
    utimesSync(path, 1, 1);
    const second = await obtainImage(tar, 'missing', store.options);
    assert.notEqual(first.root.id, second.root.id);
    assert.equal(second.tag.name, `tar:${path}`);
  });

  it('is a layout, and shares with what a registry has', async (context) => {
    const [registry, store] = [await withImage(context), testStore(context)];
    const layout = join(scratchDirectory(context), 'layout');
    writeLayout(layout, image.blobs, [{ blob: image.manifest }]);
    const local = await pullImage(parseRootImage(`oci:${layout}`), store.options);
    const remote = await pull(registry, store);
    assert.equal(local.root.id, remote.root.id);
    assert.ok(!registry.paths().some((path) => image.layers.some(({ digest }) => path.includes(digest))));
  });
});
