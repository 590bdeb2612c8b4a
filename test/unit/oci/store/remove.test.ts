/** Removing images: what goes, what stays, and what is in use. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lockFile } from '../../../../src/oci/lock.js';
import { pruneStore, removeImage, removeTags } from '../../../../src/oci/store/remove.js';
import { listTags } from '../../../../src/oci/store/tags.js';
import { sphere } from '../../../../src/util/sphere.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage } from '../../../helpers/oci/image.js';
import { startPulling } from '../../../helpers/oci/pulling.js';
import { imageIn, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { pull, type TestStore, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const LOWER = tarOf({ name: 'a', data: 'lower' });
const one = testImage([LOWER, tarOf({ name: 'b', data: 'one' })]);
const two = testImage([LOWER, tarOf({ name: 'b', data: 'two' })]);

const nameOf = (registry: TestRegistry, tag: string) => `docker://${imageIn(registry, tag)}`;

/** A store with `one` and `two`, pulled by processes that have ended. */
async function withImages(context: TestContext): Promise<[TestRegistry, TestStore]> {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  registry.add(one, 'one');
  registry.add(two, 'two');
  for (const tag of ['one', 'two']) await startPulling(context, store, nameOf(registry, tag)).ended;
  return [registry, store];
}

/** Images, file systems and blobs of a store. */
function counts({ files, paths }: TestStore) {
  const count = (pattern: RegExp) => files().filter((path) => pattern.test(path)).length;
  return { tags: listTags(paths).length, roots: count(/root\.erofs$/), blobs: count(/^blobs/) };
}

describe('an image', () => {
  it('is removed with all that only it needs', async (context) => {
    const [registry, store] = await withImages(context);
    assert.deepEqual(counts(store), { tags: 2, roots: 2, blobs: 2 * 3 + 1 });
    const removed = await removeImage(store.paths, nameOf(registry, 'one'));
    assert.deepEqual([removed.tags.length, removed.blobs.length, removed.roots.length], [1, 3, 1]);
    assert.deepEqual(counts(store), { tags: 1, roots: 1, blobs: 4 });
    await removeImage(store.paths, nameOf(registry, 'two'), 'linux/amd64');
    assert.deepEqual(store.files(), []);
  });

  it('with another name only loses this one', async (context) => {
    const [registry, store] = await withImages(context);
    registry.add(one, 'other');
    const user = startPulling(context, store, nameOf(registry, 'other'), true);
    await user.line;
    const removed = await removeImage(store.paths, nameOf(registry, 'one'));
    assert.deepEqual([removed.tags.length, removed.blobs.length, removed.roots.length], [1, 0, 0]);
    assert.deepEqual(counts(store), { tags: 2, roots: 2, blobs: 7 });
  });

  it('is removed once this process has given back each of its leases', async (context) => {
    const [registry, store] = await withImages(context);
    const name = nameOf(registry, 'one');
    const found = [await pull(registry, store, 'one'), await pull(registry, store, 'one')];
    for (const { release } of found) {
      await rejectsWith(removeImage(store.paths, name), 'image-in-use', new RegExp(`the process ${process.pid}`));
      release();
    }
    assert.equal((await removeImage(store.paths, name)).roots.length, 1);
  });

  it('that somebody uses is not removed', async (context) => {
    const [registry, store] = await withImages(context);
    const user = startPulling(context, store, nameOf(registry, 'one'), true);
    await user.line;
    const name = nameOf(registry, 'one');
    await rejectsWith(removeImage(store.paths, name), 'image-in-use', new RegExp(`by the process ${user.child.pid}`));
    const pruned = await pruneStore(store.paths, { all: true });
    assert.deepEqual(
      pruned.tags.map((tag) => tag.name),
      [nameOf(registry, 'two')],
    );
    assert.deepEqual(counts(store), { tags: 1, roots: 1, blobs: 4 });
    await user.kill();
    await removeImage(store.paths, name);
    assert.deepEqual(store.files(), []);
  });

  it('that is not there is named', async (context) => {
    const [, store] = await withImages(context);
    await rejectsWith(removeImage(store.paths, 'docker://x'), 'image-not-found', /'docker:\/\/x'/);
    const [registry] = await withImages(context);
    await rejectsWith(removeImage(store.paths, nameOf(registry, 'one'), 'linux/arm64'), 'image-not-found');
  });

  it('stays if its name means another one by now', async (context) => {
    const [registry, store] = await withImages(context);
    const name = nameOf(registry, 'one');
    const found = listTags(store.paths).filter((tag) => tag.name === name);
    registry.add(two, 'one');
    await startPulling(context, store, name).ended;
    await rejectsWith(removeTags(store.paths, name, found), 'image-not-found');
    assert.equal(counts(store).tags, 2);
  });

  it('whose removal is cancelled is gone, and what it needed goes with the next', async (context) => {
    const [registry, store] = await withImages(context);
    const name = nameOf(registry, 'one');
    const removed = await removeTags(store.paths, name, listTags(store.paths).slice(0, 1), abortedAfter(1));
    assert.deepEqual([removed.tags.length, removed.roots.length, removed.blobs.length], [1, 1, 0]);
    assert.deepEqual(counts(store), { tags: 1, roots: 1, blobs: 7 });
    await pruneStore(store.paths);
    assert.deepEqual(counts(store), { tags: 1, roots: 1, blobs: 4 });
  });

  it('is removed beside others', async (context) => {
    const [registry, store] = await withImages(context);
    await Promise.all(['one', 'two'].map((tag) => removeImage(store.paths, nameOf(registry, tag))));
    assert.deepEqual(store.files(), []);
  });

  it('is not removed while one is pulled', async (context) => {
    const [registry, store] = await withImages(context);
    const pulling = await lockFile(store.paths.lock, 'shared');
    await Promise.all([
      rejectsWith(removeImage(store.paths, nameOf(registry, 'one')), 'store-busy', /a pull, a verification or/),
      rejectsWith(pruneStore(store.paths), 'store-busy'),
    ]);
    assert.equal(counts(store).tags, 2);
    // One that ends soon is waited for.
    const removing = removeImage(store.paths, nameOf(registry, 'one'));
    await delay(100);
    await pulling?.close();
    await removing;
    assert.equal(counts(store).tags, 1);
  });
});

/** A signal that is aborted once it was looked at so many times. */
function abortedAfter(looks: number): AbortSignal {
  let left = looks;
  const { signal } = new AbortController();
  return Object.defineProperty(signal, 'aborted', {
    get: () => {
      left -= 1;
      return left < 0;
    },
  });
}

describe('pruning', () => {
  it('that is cancelled says what it has removed, and leaves the rest to the next', async (context) => {
    const [, store] = await withImages(context);
    writeFileSync(store.paths.partial(`sha256:${'0'.repeat(64)}`), 'half');
    const told = { tags: 0, roots: 0, blobs: 0 };
    for (let runs = 0; store.files().length > 0; runs += 1) {
      assert.ok(runs < 20, store.files().join(' '));
      const before = counts(store);
      const { tags, roots, blobs } = await pruneStore(store.paths, { all: true, signal: abortedAfter(2) });
      const after = counts(store);
      const gone = { tags: tags.length, roots: roots.length, blobs: blobs.length };
      for (const kind of ['tags', 'roots', 'blobs'] as const) {
        assert.equal(before[kind] - after[kind], gone[kind], kind);
        told[kind] += gone[kind];
      }
    }
    assert.deepEqual(told, { tags: 2, roots: 2, blobs: 7 });
  });

  it('removes what no name needs, and nothing else', async (context) => {
    const [registry, store] = await withImages(context);
    const { paths } = store;
    // The tag moves, and is pulled again.
    registry.add(two, 'one');
    await startPulling(context, store, nameOf(registry, 'one')).ended;
    writeFileSync(paths.partial(`sha256:${'0'.repeat(64)}`), 'half');
    const dead = `.build-${sphere()}-999999999-1-abcdef01`;
    mkdirSync(join(paths.roots, dead));
    writeFileSync(join(paths.roots, dead, 'root.erofs'), 'more');
    writeFileSync(join(paths.roots, dead, 'hole'), '');
    truncateSync(join(paths.roots, dead, 'hole'), 2 ** 40);
    writeFileSync(join(paths.tags, `.x.${'0'.repeat(16)}.tmp`), '{');
    const before = store.files();
    const would = await pruneStore(paths, { dryRun: true });
    assert.deepEqual(store.files(), before);
    const did = await pruneStore(paths);
    assert.deepEqual(did, would);
    assert.deepEqual([did.tags.length, did.blobs.length, did.roots.length], [0, 3, 1]);
    assert.deepEqual(did.leftovers, [dead, '0'.repeat(64)]);
    assert.ok(did.bytes > 4096 + 'half'.length + 'more'.length);
    assert.ok(did.bytes < 2 ** 30, `${did.bytes}`);
    assert.deepEqual(counts(store), { tags: 2, roots: 1, blobs: 4 });
    assert.equal(readdirSync(paths.tags).length, 2);
    assert.equal(readdirSync(paths.partials).length, 0);
    assert.ok(!existsSync(join(paths.roots, dead)));
  });

  it('removes all that nobody uses when it is asked to', async (context) => {
    const [, store] = await withImages(context);
    const { tags } = await pruneStore(store.paths, { all: true, dryRun: true });
    assert.equal(tags.length, 2);
    await pruneStore(store.paths, { all: true });
    assert.deepEqual(store.files(), []);
  });

  it('keeps the file system and the layers of an image whose manifest is damaged', async (context) => {
    const [registry, store] = await withImages(context);
    const [tag] = listTags(store.paths).filter(({ name }) => name === nameOf(registry, 'one'));
    assert.ok(tag !== undefined);
    rmSync(store.paths.blob(tag.manifest));
    await pruneStore(store.paths);
    assert.equal(counts(store).roots, 2);
    const { blobs, unreadable } = await removeImage(store.paths, nameOf(registry, 'two'));
    assert.deepEqual([blobs, unreadable], [[], [{ path: store.paths.blob(tag.manifest), tag }]]);
    for (const { digest } of one.layers) assert.ok(existsSync(store.paths.blob(digest)));
    await removeImage(store.paths, nameOf(registry, 'one'));
    assert.deepEqual(store.files(), []);
  });
});
