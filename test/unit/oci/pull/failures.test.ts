/** Pulls that fail: one line, nothing half-made, and the next one goes on where it was. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lockFile } from '../../../../src/oci/lock.js';
import type { PullProgress } from '../../../../src/oci/progress.js';
import { refuseWithoutRoom } from '../../../../src/oci/room.js';
import { fetchBlob } from '../../../../src/oci/store/blobs.js';
import { StorePaths, storeError } from '../../../../src/oci/store/store-paths.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { openImage } from '../../../helpers/oci/asking.js';
import { EMPTY_IMAGE_BYTES } from '../../../helpers/oci/erofs.js';
import { type TestImage, testBlob, testImage } from '../../../helpers/oci/image.js';
import { startPulling } from '../../../helpers/oci/pulling.js';
import { imageIn, sendBlob, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { pull, type TestStore, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const image = testImage([tarOf({ name: 'a', data: randomBytes(400_000) }), tarOf({ name: 'b', data: 'x' })]);
const [lower, upper] = image.layers;
assert.ok(lower !== undefined && upper !== undefined);

async function withImage(context: TestContext, one: TestImage = image): Promise<[TestRegistry, TestStore]> {
  const registry = await startRegistry(context);
  registry.add(one, 'v1');
  return [registry, testStore(context)];
}

/** The requests for a blob. */
const requestsFor = (registry: TestRegistry, digest: string) =>
  registry.requests.filter(({ path }) => path.endsWith(digest));

describe('a pull that fails', () => {
  const tar = tarOf({ name: 'a', data: 'x' });
  for (const [what, wrong, code, pattern] of [
    [
      'because a layer unpacks to something else',
      testImage([tar], { diffIds: [digestOf(Buffer.from('x'))] }),
      'digest-wrong',
      /the content of layer 1/,
    ],
    ['because a layer leads out of the image', testImage([tarOf({ name: '../x' })]), 'layer-invalid', /'\.\.\/x'/],
    ['because a layer is no archive', testImage([Buffer.alloc(1000, 'x')]), 'layer-invalid', /no tar archive/],
    ['because a layer is cut off', testImage([tar.subarray(0, 600)]), 'layer-invalid', /cut off/],
    ['because layers are too many', testImage([tar], { diffIds: [] }), 'config-invalid', /1 layers.*names 0/],
    ['because it is for another platform', testImage([tar], { architecture: 's390x' }), 'platform-missing', /s390x/],
  ] as const) {
    it(`${what} leaves nothing`, async (context) => {
      const [registry, store] = await withImage(context, wrong);
      const error = await rejectsWith(pull(registry, store), code, pattern);
      assert.equal(error.exitCode, 125);
      assert.deepEqual(store.files(), []);
    });
  }

  it('because its image is refused leaves what others need, or may need', async (context) => {
    const [registry, store] = await withImage(context);
    const good = tarOf({ name: 'b', data: 'x' });
    const bad = testImage([good, tarOf({ name: '../x' })]);
    const [shared, own] = bad.layers;
    assert.ok(shared !== undefined && own !== undefined && shared.digest === upper.digest);
    registry.add(bad, 'bad');
    await pull(registry, store);
    const before = store.files();
    await rejectsWith(pull(registry, store, 'bad'), 'layer-invalid');
    assert.deepEqual(store.files(), before);
    const pulling = await lockFile(store.paths.lock, 'shared');
    await rejectsWith(pull(registry, store, 'bad'), 'layer-invalid');
    await pulling?.close();
    assert.deepEqual(store.files(), [...before, `blobs/sha256/${own.digest.slice(7, 13)}`].sort());
  });

  for (const [what, serve, code] of [
    ['sends another blob', () => testBlob(lower.mediaType, Buffer.alloc(lower.size)), 'digest-wrong'],
    ['sends another config', () => testBlob(image.config.mediaType, Buffer.alloc(image.config.size)), 'digest-wrong'],
    ['sends less', () => testBlob(lower.mediaType, lower.bytes.subarray(1)), 'blob-size-wrong'],
    ['sends more', () => testBlob(lower.mediaType, Buffer.concat([lower.bytes, lower.bytes])), 'blob-size-wrong'],
  ] as const) {
    it(`because the registry ${what} leaves nothing of it`, async (context) => {
      const [registry, store] = await withImage(context);
      const wrong = serve();
      const name = wrong.mediaType === lower.mediaType ? lower.digest : image.config.digest;
      registry.hook(({ path, headers }, response) => {
        if (!path.endsWith(name)) return false;
        sendBlob(response, wrong, headers.range);
        return true;
      });
      await rejectsWith(pull(registry, store), code);
      // Of a blob whose size is wrong another answer may be right: what is there already is kept for it.
      assert.ok(
        store.files().every((path) => path === `blobs/sha256/${upper.digest.slice(7, 13)}`),
        store.files().join(),
      );
    });
  }

  it('because the registry goes on for ever takes no more than the blob has', async (context) => {
    const [registry, store] = await withImage(context);
    registry.hook(({ path }, response) => {
      if (!path.endsWith(lower.digest)) return false;
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      const more = () => {
        if (!response.destroyed) response.write(Buffer.alloc(100_000), more);
      };
      more();
      return true;
    });
    await rejectsWith(pull(registry, store), 'blob-size-wrong', /more came/);
  });

  it('because the disk is full says so, and keeps no part', {
    skip: unlessRoot('it mounts a small disk'),
  }, async (context) => {
    const registry = await startRegistry(context);
    registry.add(image, 'v1');
    const directory = join(scratchDirectory(context), 'small');
    mkdirSync(directory);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200k,mode=755', 'tmpfs', directory], { stdio: 'pipe' });
    } catch (error) {
      context.skip(`a tmpfs cannot be mounted here: ${String(error)}`);
      return;
    }
    try {
      const store = testStore(context, join(directory, 'oci'));
      // It is not begun, and if it were it would leave nothing.
      await rejectsWith(pull(registry, store), 'disk-full', /no space is left in .*oci for an image, which takes/);
      assert.equal(requestsFor(registry, lower.digest).length, 0);
      const descriptor = { ...lower, platform: undefined, annotations: {} };
      const fetching = fetchBlob(store.paths, openImage(context, registry), descriptor);
      await rejectsWith(fetching, 'disk-full', /no space is left in .*oci for an image;/);
      assert.ok(!store.files().some((path) => path.startsWith('partial')), store.files().join());
      // Room for the layers, and not for what they are merged to.
      execFileSync('mount', ['-o', 'remount,size=700k', directory]);
      await rejectsWith(pull(registry, store), 'disk-full', /roots for an image, which takes/);
      assert.deepEqual(readdirSync(store.paths.roots), ['.leases']);
      execFileSync('mount', ['-o', 'remount,size=4m', directory]);
      await pull(registry, store);
      // A twentieth is left to others.
      execFileSync('mount', ['-o', 'remount,size=100m', directory]);
      await rejectsWith(refuseWithoutRoom(directory, 96 << 20), 'disk-full', /and 5242880 have to stay free/);
      await refuseWithoutRoom(directory, 93 << 20);
      writeFileSync(join(directory, 'others'), Buffer.alloc(96 << 20));
      await rejectsWith(refuseWithoutRoom(directory, 1), 'disk-full');
      await refuseWithoutRoom(directory, 0);
    } finally {
      execFileSync('umount', [directory]);
    }
  });

  it('because there is no room says how much it takes', async (context) => {
    const directory = scratchDirectory(context);
    const pattern = /which takes \d+ bytes: \d+ are free, and \d+ have to stay free; free some/;
    await rejectsWith(refuseWithoutRoom(directory, 2 ** 60), 'disk-full', pattern);
    await refuseWithoutRoom(directory, 1);
  });

  it('because nobody may write there says so', async (context) => {
    const [registry, { options }] = await withImage(context);
    const directory = scratchDirectory(context);
    writeFileSync(join(directory, 'file'), '');
    const broken = { ...options, paths: new StorePaths(join(directory, 'file', 'oci')) };
    await rejectsWith(
      pull(registry, { ...testStore(context), options: broken }),
      'store-not-writable',
      /XDG_CACHE_HOME/,
    );
  });

  it('because others could change the store says so', async (context) => {
    const [registry, store] = await withImage(context);
    chmodSync(store.paths.directory, 0o777);
    await rejectsWith(pull(registry, store), 'store-not-safe', /everybody may write/);
    assert.equal(registry.requests.length, 0);
  });
});

describe('a pull that is interrupted', () => {
  /** Sends half of the lower layer, calls `then`, and waits. */
  function stopInTheMiddle(registry: TestRegistry, then: () => void): void {
    let isFirst = true;
    registry.hook(({ path }, response) => {
      if (!path.endsWith(lower?.digest ?? '') || !isFirst) return false;
      isFirst = false;
      response.writeHead(200, { 'content-length': lower?.size });
      response.write(lower?.bytes.subarray(0, 200_000), then);
      return true;
    });
  }

  it('by a signal goes on where it was', async (context) => {
    const [registry, store] = await withImage(context);
    const controller = new AbortController();
    stopInTheMiddle(registry, () => {});
    const onProgress = (progress: PullProgress) => {
      if (progress.phase === 'fetching' && progress.bytes === 200_000) controller.abort();
    };
    await rejectsWith(pull(registry, store, 'v1', { signal: controller.signal, onProgress }), 'aborted');
    assert.equal(statSync(store.paths.partial(lower.digest)).size, 200_000);
    await pull(registry, store);
    assert.deepEqual(
      requestsFor(registry, lower.digest).map(({ headers }) => headers.range),
      [undefined, 'bytes=200000-'],
    );
    assert.ok(!store.files().some((path) => path.startsWith('partial')));
  });

  it('by SIGKILL goes on where it was', async (context) => {
    const [registry, store] = await withImage(context);
    const stopped = new Promise<void>((resolve) => stopInTheMiddle(registry, resolve));
    const killed = startPulling(context, store, `docker://${imageIn(registry, 'v1')}`);
    await stopped;
    await killed.kill();
    const there = statSync(store.paths.partial(lower.digest)).size;
    const { root } = await pull(registry, store);
    const [, range] = requestsFor(registry, lower.digest).map(({ headers }) => headers.range);
    assert.equal(range, there === 0 ? undefined : `bytes=${there}-`);
    // The workspace of the one that was killed is gone too.
    assert.deepEqual(readdirSync(store.paths.roots).sort(), ['.leases', root.id]);
  });

  it('and left damage begins again', async (context) => {
    const [registry, store] = await withImage(context);
    writeFileSync(store.paths.partial(lower.digest), Buffer.alloc(100_000));
    writeFileSync(store.paths.partial(upper.digest), Buffer.alloc(upper.size + 1));
    await pull(registry, store);
    assert.deepEqual(
      requestsFor(registry, lower.digest).map(({ headers }) => headers.range),
      ['bytes=100000-', undefined],
    );
    assert.deepEqual(
      requestsFor(registry, upper.digest).map(({ headers }) => headers.range),
      [undefined],
    );
  });

  it('with a layer that was there but for its name needs nothing more', async (context) => {
    const [registry, store] = await withImage(context);
    writeFileSync(store.paths.partial(lower.digest), lower.bytes);
    await pull(registry, store);
    assert.equal(requestsFor(registry, lower.digest).length, 0);
  });
});

it('a layer of zeros is an empty archive, however many there are', async (context) => {
  const zeros = testImage([Buffer.alloc(100_000_000)]);
  assert.ok(zeros.layers.every(({ size }) => size < 1_000_000));
  const [registry, store] = await withImage(context, zeros);
  const { root } = await pull(registry, store);
  assert.equal(root.size, EMPTY_IMAGE_BYTES);
});

it('zeros in files of an image take no room', async (context) => {
  const size = 10 << 20;
  const zeros = testImage([tarOf({ name: 'a', data: Buffer.alloc(size) }, { name: 'b', data: 'x'.repeat(5000) })]);
  const [registry, store] = await withImage(context, zeros);
  const { root } = await pull(registry, store);
  const found = statSync(root.path);
  assert.ok(found.size > size && found.blocks * 512 < size / 10, `${found.blocks} blocks of ${found.size} bytes`);
});

it('a quota that is full is a full disk', () => {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    const error = storeError(Object.assign(new Error('write'), { code }), '/store');
    assert.ok(error instanceof SandboxError && error.code === 'disk-full', code);
  }
});
