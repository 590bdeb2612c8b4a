/** Leases of images. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { it } from 'node:test';
import { leaseDirectory, leaseImage, leasesOf } from '../../../../src/image/store/lease.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

it('the first process of a store gets a lease, also if another one makes the directory at the same time', (context) => {
  const store = scratchDirectory(context);
  fs.mkdirSync(join(store, 'image'));
  const { mkdirSync } = fs;
  let raced = 0;
  // The other process comes between this one's look and its mkdir.
  context.mock.method(fs, 'mkdirSync', (path: string, options: fs.MakeDirectoryOptions) => {
    if (path === leaseDirectory(store)) {
      raced += 1;
      mkdirSync(path, options);
    }
    return mkdirSync(path, options);
  });
  syncBuiltinESMExports();
  try {
    leaseImage(store, 'image');
  } finally {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  }
  assert.equal(raced, 1);
  assert.deepEqual([...leasesOf(store)], [['image', [process.pid]]]);
});

it('a lease lasts until the last use of the image is given back, each once', (context) => {
  const store = scratchDirectory(context);
  fs.mkdirSync(join(store, 'image'));
  const users = () => leasesOf(store).get('image');
  const [first, second] = [leaseImage(store, 'image'), leaseImage(store, 'image')];
  first();
  first();
  assert.deepEqual(users(), [process.pid]);
  second();
  assert.equal(users(), undefined);
  const third = leaseImage(store, 'image');
  second();
  assert.deepEqual(users(), [process.pid]);
  third();
  assert.deepEqual(fs.readdirSync(leaseDirectory(store)), []);
});
