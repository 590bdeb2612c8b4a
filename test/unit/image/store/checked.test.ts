/** The files of the store are known by their identities; a changed one is read, and replaced or built again. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pruneImages } from '../../../../src/image/remove/prune.js';
import { type BootImage, resolveImage } from '../../../../src/image/resolve.js';
import { isChecked } from '../../../../src/image/store/checked.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { imageFiles, storeContents, testMachine } from '../../../helpers/machines.js';
import { unlessRoot } from '../../../helpers/scratch.js';

/** Writes over the beginning of a file, in place. */
function overwrite(path: string): void {
  chmodSync(path, 0o644);
  const file = openSync(path, 'r+');
  writeSync(file, 'changed', 0);
  closeSync(file);
  chmodSync(path, 0o444);
}

const inode = ({ kernel }: BootImage) => statSync(kernel).ino;

test('a file with another content is noticed, and the image is built again', async (t) => {
  const { options, store } = testMachine(t);
  const built = await resolveImage(options);
  const files = imageFiles(built);
  for (const name of ['vmlinux', 'initrd']) {
    const path = join(built.directory, name);
    const { atime, mtime } = statSync(path);
    overwrite(path);
    // No program can set back the time of the last change.
    utimesSync(path, atime, mtime);
    assert.ok(!isChecked(store, built.manifest), name);
    assert.equal((await resolveImage(options)).fresh, true, name);
    assert.deepEqual(imageFiles(built), files, name);
    assert.ok(isChecked(store, built.manifest), name);
  }
  assert.deepEqual(storeContents(store).workspaces, []);
});

test('a file with the same content is replaced by a copy, so an old writer has no hold on it', async (t) => {
  const { options, store } = testMachine(t);
  const built = await resolveImage(options);
  const files = imageFiles(built);
  chmodSync(built.kernel, 0o644);
  const writer = openSync(built.kernel, 'r+');
  t.after(() => closeSync(writer));
  const before = inode(built);
  const found = await resolveImage(options);
  assert.equal(found.fresh, false);
  assert.notEqual(inode(found), before);
  assert.equal(statSync(found.kernel).mode & 0o777, 0o444);
  writeSync(writer, 'changed', 0);
  assert.ok(isChecked(store, built.manifest));
  assert.deepEqual(imageFiles(found), files);
  const again = inode(found);
  assert.equal(inode(await resolveImage(options)), again, 'once');
});

test('a store of an older version has no notes, and is read once', async (t) => {
  const { options, store } = testMachine(t);
  const built = await resolveImage(options);
  rmSync(join(store, '.checked'), { recursive: true });
  assert.equal((await resolveImage(options)).fresh, false);
  assert.ok(isChecked(store, built.manifest));
  for (const note of ['', '{', '[]', '{"vmlinux":1}']) {
    writeFileSync(join(store, '.checked', `${built.id}.json`), note);
    assert.ok(!isChecked(store, built.manifest), note);
    assert.equal((await resolveImage(options)).fresh, false, note);
    assert.ok(isChecked(store, built.manifest), note);
  }
});

test('a link, a file of another user, and one that others may write are not booted', {
  skip: unlessRoot('it makes files of another user'),
}, async (t) => {
  const { options, store, directory } = testMachine(t);
  const built = await resolveImage(options);
  const elsewhere = join(directory, 'elsewhere');
  const attacks: Record<string, () => void> = {
    link: () => {
      renameSync(built.kernel, elsewhere);
      symlinkSync(elsewhere, built.kernel);
    },
    owner: () => chownSync(built.kernel, 65_534, 0),
    everybody: () => chmodSync(built.kernel, 0o666),
    group: () => chmodSync(built.kernel, 0o464),
    'owner of the directory': () => chownSync(built.directory, 65_534, 0),
    'mode of the directory': () => chmodSync(built.directory, 0o777),
    'a note of another user': () => chownSync(join(store, '.checked', `${built.id}.json`), 65_534, 0),
  };
  for (const [name, attack] of Object.entries(attacks)) {
    attack();
    assert.ok(!isChecked(store, built.manifest), name);
    await resolveImage(options);
    assert.ok(isChecked(store, built.manifest), name);
    const { uid, mode } = statSync(built.kernel);
    assert.deepEqual({ uid, mode: mode & 0o777 }, { uid: 0, mode: 0o444 }, name);
  }
});

test('a store where others may write is refused', {
  skip: unlessRoot('it makes directories of another user'),
}, async (t) => {
  const { options, store } = testMachine(t);
  await resolveImage(options);
  chmodSync(store, 0o777);
  await rejectsWith(
    resolveImage(options),
    'store-not-safe',
    /everybody may write to \S+store; see that nobody but root/,
  );
  chmodSync(store, 0o755);
  chownSync(store, 65_534, 0);
  await rejectsWith(resolveImage(options), 'store-not-safe', /store belongs to user 65534/);
});

test('prune removes the notes of images that are gone', async (t) => {
  const { options, store } = testMachine(t);
  const built = await resolveImage(options);
  const notes = join(store, '.checked');
  writeFileSync(join(notes, `${built.id}.json.1-abcdef01`), '');
  writeFileSync(join(notes, `${'0'.repeat(32)}.json`), '{}');
  mkdirSync(join(store, '.names'));
  symlinkSync(`../${built.id}`, join(store, '.names/web'));
  await pruneImages(store);
  assert.deepEqual(readdirSync(notes), [`${built.id}.json`]);
  rmSync(join(store, '.names/web'));
  await pruneImages(store);
  assert.deepEqual(readdirSync(notes), []);
});
