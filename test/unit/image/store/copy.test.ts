/** Copies of files that somebody else may have made or may be changing. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../../src/image/manifest.js';
import { digestSparse } from '../../../../src/image/snapshot/digest.js';
import { nextData } from '../../../../src/image/snapshot/extents.js';
import { copyChecked } from '../../../../src/image/store/copy.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const MIB = 1 << 20;

test('a file is copied, and only if it is what it must be', async (t) => {
  const directory = scratchDirectory(t);
  const at = (name: string) => join(directory, name);
  const data = randomBytes(3 * MIB + 5);
  writeFileSync(at('file'), data);
  const expected = { size: data.length, digest: sha256(data) };
  assert.equal(await copyChecked(at('file'), at('copy'), expected), undefined);
  assert.ok(readFileSync(at('copy')).equals(data));
  assert.equal(await copyChecked(at('file'), at('2'), { ...expected, digest: sha256('') }), 'has another content');
  const shorter = { ...expected, size: data.length - 1 };
  assert.equal(await copyChecked(at('file'), at('3'), shorter), `has ${data.length} bytes and not ${data.length - 1}`);
  assert.ok(!existsSync(at('3')), 'nothing is read');
  symlinkSync('file', at('link'));
  execFileSync('mkfifo', [at('fifo')]);
  assert.equal(await copyChecked(at('link'), at('4'), expected), 'is a symbolic link');
  assert.equal(await copyChecked(at('fifo'), at('5'), expected), 'is not a regular file');
  assert.equal(await copyChecked(at('missing'), at('6'), expected), 'is missing');
  await assert.rejects(copyChecked(at('file'), at('copy'), expected), { code: 'EEXIST' });
});

test('a file that changes while it is copied is refused, or copied as it was', async (t) => {
  const directory = scratchDirectory(t);
  const path = join(directory, 'file');
  const data = Buffer.alloc(16 * MIB, 'a');
  const expected = { size: data.length, digest: sha256(data) };
  const seen = new Set<string | undefined>();
  for (let round = 0; round < 8; round += 1) {
    writeFileSync(path, data);
    const copying = copyChecked(path, join(directory, `copy${round}`), expected);
    const writer = openSync(path, 'r+');
    const change = setInterval(() => {
      if (round % 2 === 0) writeSync(writer, 'changed', data.length - 10);
      else truncateSync(path, data.length / 2);
    }, 1);
    const problem = await copying;
    clearInterval(change);
    closeSync(writer);
    seen.add(problem);
    if (!existsSync(join(directory, `copy${round}`))) {
      assert.match(problem ?? '', /^has \d+ bytes and not \d+$/);
      continue;
    }
    const copy = readFileSync(join(directory, `copy${round}`));
    assert.equal(copy.length, data.length);
    assert.equal(problem, copy.equals(data) ? undefined : 'has another content');
  }
  assert.ok(seen.has('has another content'), 'some change came in time');
});

test('holes stay holes', async (t) => {
  const directory = scratchDirectory(t);
  const path = join(directory, 'memory');
  writeFileSync(path, 'x');
  truncateSync(path, 2 ** 40);
  const file = openSync(path, 'r+');
  writeSync(file, randomBytes(8192), 0, 8192, 2 ** 39);
  closeSync(file);
  const expected = { size: 2 ** 40, digest: await digestSparse(path), digestOf: digestSparse, nextData };
  assert.equal(await copyChecked(path, join(directory, 'copy'), expected), undefined);
  assert.ok(statSync(join(directory, 'copy')).blocks * 512 < MIB);
});

test('a file system that can shares the blocks', {
  skip: unlessRoot('it mounts a file system') || unlessProgram('mkfs.btrfs'),
}, async (t) => {
  const directory = scratchDirectory(t);
  const disk = join(directory, 'disk');
  const mounted = join(directory, 'mounted');
  mkdirSync(mounted);
  writeFileSync(disk, '');
  truncateSync(disk, 200 * MIB);
  execFileSync('mkfs.btrfs', ['-q', disk]);
  try {
    execFileSync('mount', ['-o', 'loop', disk, mounted], { stdio: 'pipe' });
  } catch (error) {
    t.skip(`a loop device cannot be mounted here: ${String(error)}`);
    return;
  }
  try {
    const data = randomBytes(30 * MIB);
    writeFileSync(join(mounted, 'file'), data);
    const free = () => {
      execFileSync('sync', ['-f', mounted]);
      const { bfree, bsize } = statfsSync(mounted);
      return bfree * bsize;
    };
    const before = free();
    const expected = { size: data.length, digest: sha256(data) };
    assert.equal(await copyChecked(join(mounted, 'file'), join(mounted, 'copy'), expected), undefined);
    assert.ok(readFileSync(join(mounted, 'copy')).equals(data));
    assert.ok(before - free() < 5 * MIB, `${before - free()} bytes more are in use`);
  } finally {
    execFileSync('umount', [mounted]);
  }
});
