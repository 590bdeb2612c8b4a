/** Leases of images. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { it } from 'node:test';
import { leaseDirectory, leaseImage, leasesOf } from '../../../../src/image/store/lease.js';
import { throwsWith } from '../../../helpers/errors.js';
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

it('a lease is touched as long as it is held, and made again if somebody has removed it', (context) => {
  const store = scratchDirectory(context);
  fs.mkdirSync(join(store, 'image'));
  context.mock.timers.enable({ apis: ['setInterval'] });
  const release = leaseImage(store, 'image');
  const [name = ''] = fs.readdirSync(leaseDirectory(store));
  const path = join(leaseDirectory(store), name);
  const old = new Date('2020-01-01');
  fs.utimesSync(path, old, old);
  context.mock.timers.tick(60 * 60 * 1000);
  assert.ok(fs.statSync(path).mtime > old);
  fs.rmSync(path);
  context.mock.timers.tick(60 * 60 * 1000);
  assert.deepEqual([...leasesOf(store)], [['image', [process.pid]]]);
  release();
  context.mock.timers.tick(24 * 60 * 60 * 1000);
  assert.deepEqual(fs.readdirSync(leaseDirectory(store)), []);
});

for (const [code, expected] of [
  ['ENOSPC', 'disk-full'],
  ['EDQUOT', 'disk-full'],
  ['EIO', 'store-not-writable'],
  ['EACCES', undefined],
  ['EPERM', undefined],
  ['EROFS', undefined],
] as const)
  it(`a lease that cannot be written (${code}) is ${expected ?? 'none of a store of somebody else'}`, (context) => {
    const store = scratchDirectory(context);
    fs.mkdirSync(join(store, 'image'));
    context.mock.method(fs, 'writeFileSync', () => {
      throw Object.assign(new Error(code), { code, errno: 1, syscall: 'open' });
    });
    syncBuiltinESMExports();
    try {
      if (expected === undefined) leaseImage(store, 'image')();
      else
        throwsWith(
          () => leaseImage(store, 'image'),
          expected,
          new RegExp(`no lease of the image can be written to \\S+ \\(${code}`),
        );
    } finally {
      context.mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.deepEqual([...leasesOf(store)], []);
  });

it('a lease in a store that is not there is none', (context) => {
  const directory = scratchDirectory(context);
  const release = leaseImage(join(directory, 'none'), 'image');
  assert.deepEqual(fs.readdirSync(directory), []);
  release();
  assert.deepEqual(fs.readdirSync(directory), []);
});
