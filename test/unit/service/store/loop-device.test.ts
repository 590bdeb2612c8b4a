/** What the loop device of a bound says of a file that cannot be written, and how long it lives. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openLoop } from '../../../../src/service/store/loop-device.js';
import { isSystemError } from '../../../../src/util/errors.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { loopDevice, unlessProgram } from '../../../helpers/images.js';
import { leftAtLast } from '../../../helpers/leftovers.js';
import { freshDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { scratchMount } from '../../../helpers/scratch-mount.js';

const BLOCK = 4096;
const PAGE = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));
const NOT_WRITTEN = /: (?:No space left on device|Input\/output error)\n/;
/** No whole number of blocks. */
const SIZE = 16_000_001;

function emptyFile(directory: string): string {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  truncateSync(file, SIZE);
  return file;
}

const attributeOf = (device: string, name: string) =>
  readFileSync(`/sys/block/${basename(device)}/${name}`, 'latin1').trim();

const devicesOf = (file: string) => execFileSync('losetup', ['-nO', 'NAME', '-j', file], { encoding: 'utf8' });

/** Who looks for the device of another file has it for a moment. */
async function assertNoDevice(file: string): Promise<void> {
  assert.deepEqual(await leftAtLast(() => devicesOf(file).split('\n').filter(Boolean)), []);
}

/** Two blocks, of which the file has the first one. @returns why that fails */
function writeError(device: string): string {
  const words = ['if=/dev/zero', `of=${device}`, `bs=${2 * BLOCK}`, 'count=1', 'oflag=direct', 'conv=notrunc'];
  const { status, stderr } = spawnSync('dd', words, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  return status === 0 ? '' : stderr;
}

/** A file with one block. */
function fileWithBlock(directory: string): string {
  const file = emptyFile(directory);
  execFileSync('dd', ['if=/dev/urandom', `of=${file}`, `bs=${BLOCK}`, 'count=1', 'conv=notrunc,fsync', 'status=none']);
  return file;
}

/** The same on a disk that has no more. */
function fileOnFullDisk(t: TestContext): string {
  const disk = new FullDisk(t, 'size=1M');
  const file = fileWithBlock(disk.path);
  disk.fill();
  return file;
}

/** Takes each block of a file system on a disk. */
function fill(directory: string): void {
  for (let index = 0, isFull = false; !isFull; index++) isFull = takenBy(join(directory, `filler-${index}`)) === 0;
}

/** @returns bytes that a file gets */
function takenBy(file: string): number {
  const fd = openSync(file, 'w');
  for (const size of [2 ** 20, BLOCK])
    try {
      for (;;) writeSync(fd, Buffer.alloc(size));
    } catch (error) {
      assert.ok(isSystemError(error, 'ENOSPC'), String(error));
    }
  fsyncSync(fd);
  closeSync(fd);
  return statSync(file).size;
}

/** A directory of a file system without direct I/O. */
function plainDirectory(t: TestContext): string {
  const path = freshDirectory(WITH_ATTRIBUTES);
  execFileSync('mount', ['-t', 'ramfs', '-o', 'mode=700', 'ramfs', path]);
  t.after(() => {
    execFileSync('umount', ['--lazy', path]);
    rmSync(path, { recursive: true });
  });
  return path;
}

describe('the loop device of a bound', { skip: unlessRoot('it mounts') }, () => {
  it('says that a write has failed of which the file has a part', async (t) => {
    const loop = await openLoop(fileOnFullDisk(t));
    t.after(() => loop.close());
    assert.match(writeError(loop.path), NOT_WRITTEN);
  });

  for (const [what, isDirect, words, options] of [
    ['direct I/O', true, [], []],
    ['a file system that writes contents to its journal', false, [], ['data=journal']],
    ['a file system without extents', false, ['-O', '^extents,^64bit'], []],
  ] as const)
    it(`says so with ${what} on a disk`, { skip: unlessProgram('mkfs.ext4') }, async (t) => {
      const directory = scratchMount(t, ['mkfs.ext4', ...words], '64M', options);
      const file = fileWithBlock(directory);
      fill(directory);
      const loop = await openLoop(file);
      try {
        const isPaged = attributeOf(loop.path, 'queue/max_sectors_kb') === String(PAGE / 1024);
        assert.deepEqual([attributeOf(loop.path, 'loop/dio') === '1', isPaged], [isDirect, !isDirect]);
        assert.match(writeError(loop.path), NOT_WRITTEN);
      } finally {
        await loop.close();
      }
    });

  it('says so where somebody else has made it', async (t) => {
    const file = fileOnFullDisk(t);
    const device = loopDevice(t, file);
    assert.ok(device !== undefined);
    const loop = await openLoop(file);
    t.after(() => loop.close());
    assert.equal(loop.path, device);
    assert.notEqual(writeError(device), '');
  });

  it('writes pages where there is no direct I/O, and serves a file on a disk as usual then', async (t) => {
    const loop = await openLoop(emptyFile(plainDirectory(t)));
    assert.equal(attributeOf(loop.path, 'loop/dio'), '0');
    assert.equal(attributeOf(loop.path, 'queue/max_sectors_kb'), String(PAGE / 1024));
    await loop.close();
    const directory = scratchMount(t, ['mkfs.ext4'], '64M');
    const next = await openLoop(emptyFile(directory));
    const most = Number(attributeOf(next.path, 'queue/max_sectors_kb'));
    await next.close();
    assert.ok(most > PAGE / 1024, `${most} KiB`);
  });

  it('is one for each file, of whole blocks, and is gone when it is closed', async (t) => {
    const above = freshDirectory(WITH_ATTRIBUTES);
    t.after(() => rmSync(above, { recursive: true }));
    const files = ['one', 'two'].map((name) => {
      mkdirSync(join(above, name));
      return emptyFile(join(above, name));
    });
    const [one = '', two = ''] = files;
    const [first, again, other] = [await openLoop(one), await openLoop(one), await openLoop(two)];
    assert.equal(first.path, again.path);
    assert.notEqual(first.path, other.path);
    assert.equal(attributeOf(first.path, 'loop/backing_file'), one);
    assert.equal(Number(attributeOf(first.path, 'size')) * 512, SIZE - (SIZE % BLOCK));
    await first.close();
    assert.equal(devicesOf(one), `${first.path}\n`);
    for (const loop of [again, other]) await loop.close();
    for (const file of files) await assertNoDevice(file);
  });

  it('is not one of a part of the file, or one that is read-only', async (t) => {
    const above = freshDirectory(WITH_ATTRIBUTES);
    for (const [index, words] of [['--offset', '4096'], ['--sizelimit', '8192'], ['--read-only']].entries()) {
      const file = join(above, String(index));
      writeFileSync(file, '');
      truncateSync(file, SIZE);
      const device = execFileSync('losetup', ['--find', '--show', ...words, file], { encoding: 'utf8' }).trim();
      t.after(() => execFileSync('losetup', ['--detach', device]));
      await assert.rejects(
        openLoop(file),
        new RegExp(`has the loop device ${device}, which is read-only, or of a part`),
      );
    }
    t.after(() => rmSync(above, { recursive: true }));
  });

  it('is gone with its process', async (t) => {
    const above = freshDirectory(WITH_ATTRIBUTES);
    t.after(() => rmSync(above, { recursive: true }));
    const file = emptyFile(above);
    const script = `const { openLoop } = await import(process.argv[1]);
      const { path } = await openLoop(process.argv[2]);
      process.stdout.write(path, () => process.kill(process.pid, 'SIGKILL'));`;
    const module = new URL('../../../../src/service/store/loop-device.js', import.meta.url).href;
    const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script, module, file]);
    assert.match(String(stdout), /^\/dev\/loop\d+$/);
    assert.equal(signal, 'SIGKILL');
    await assertNoDevice(file);
  });
});
