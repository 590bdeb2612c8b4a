/** Names that cannot be read, or that another version has written: what they may need stays. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { pruneStore, removeImage } from '../../../../src/oci/store/remove.js';
import { testImage } from '../../../helpers/oci/image.js';
import { startRegistry } from '../../../helpers/oci/registry.js';
import { imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';

/** Two images that share nothing, and the record of the first one's name. */
async function withImages(context: TestContext) {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  for (const tag of ['one', 'two']) registry.add(testImage([tarOf({ name: 'a', data: tag })]), tag);
  const one = await pull(registry, store, 'one');
  const [file = ''] = readdirSync(store.paths.tags);
  const record = join(store.paths.tags, file);
  const two = await pull(registry, store, 'two');
  two.release();
  return { registry, store, one, two, record };
}

const UNREADABLE: readonly (readonly [string, (record: string) => void])[] = [
  ['is empty', (record) => writeFileSync(record, '')],
  ['is of another format', (record) => changeRecord(record, { format: 2 })],
  ['lacks what it needs', (record) => changeRecord(record, { manifest: undefined })],
  ['is a link', (record) => replaced(record, () => symlinkSync('/etc/passwd', record))],
  ['is a directory', (record) => replaced(record, () => mkdirSync(record))],
];

function changeRecord(record: string, change: object): void {
  writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, 'utf8')), ...change }));
}

function replaced(record: string, make: () => void): void {
  rmSync(record);
  make();
}

describe('a name that cannot be read', () => {
  for (const [how, change] of UNREADABLE)
    it(`since its record ${how} keeps its image, until prune is to remove all`, async (context) => {
      const { store, one, two, record } = await withImages(context);
      const { paths } = store;
      change(record);
      const before = store.files();
      const removed = await removeImage(paths, two.tag.name);
      assert.deepEqual([removed.tags.length, removed.blobs, removed.roots], [1, [], []]);
      assert.deepEqual(removed.unreadable, [{ path: record, tag: undefined }]);
      const pruned = await pruneStore(paths);
      assert.deepEqual([pruned.blobs, pruned.roots, pruned.records], [[], [], []]);
      assert.deepEqual(pruned.unreadable, removed.unreadable);
      assert.equal(store.files().length, before.length - 1);
      // A sandbox may be one of that name.
      const used = await pruneStore(paths, { all: true });
      assert.deepEqual([used.records, used.unreadable], [[], removed.unreadable]);
      one.release();
      const would = await pruneStore(paths, { all: true, dryRun: true });
      const did = await pruneStore(paths, { all: true });
      assert.deepEqual(did, would);
      assert.deepEqual([did.records, did.unreadable, did.roots.length, did.blobs.length], [[record], [], 2, 6]);
      assert.deepEqual(store.files(), []);
    });

  it('is none if another version has written more fields', async (context) => {
    const { registry, store, one, record } = await withImages(context);
    one.release();
    changeRecord(record, { more: true });
    const { tag, release } = await obtainImage(imageOf(registry, 'one'), 'never', store.options);
    release();
    assert.deepEqual(tag, one.tag);
    assert.deepEqual((await pruneStore(store.paths)).unreadable, []);
  });
});
