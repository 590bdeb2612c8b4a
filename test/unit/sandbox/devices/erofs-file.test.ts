/** Which file systems of images a container mounts without a loop device. */
import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileInContainer, mountsFile } from '../../../../src/sandbox/devices/erofs-file.js';
import { WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const TMPFS = 0x0102_1994;
const OVERLAY = 0x794c_7630;

/** A directory on a disk: in a container most are on an overlay. Undefined: none is known. */
const onDisk = [WITH_ATTRIBUTES, tmpdir(), import.meta.dirname].find(
  (path) => ![TMPFS, OVERLAY].includes(statfsSync(path).type),
);

test('a file is mounted by kernels since 6.12', (t) => {
  if (onDisk === undefined) return t.skip('all directories are in memory, or on an overlay');
  const expected = {
    '5.19.17': false,
    '6.2.0-1-amd64': false,
    '6.11.11': false,
    '6.12.0': true,
    '6.100': true,
    '7.0.1': true,
  };
  for (const [kernel, mounts] of Object.entries(expected)) assert.equal(mountsFile(onDisk, kernel), mounts, kernel);
});

test('none in memory is mounted', (t) => {
  if (statfsSync('/dev/shm').type !== TMPFS) return t.skip('/dev/shm is no tmpfs');
  assert.equal(mountsFile('/dev/shm', '6.18.0'), false);
});

test('a container finds it below what libvirt binds', () => {
  const { share, path } = fileInContainer('/var/cache/roots/0/root.erofs');
  assert.deepEqual(
    [share.directory, share.readOnly, path],
    ['/var/cache/roots/0', true, '/dev/.sandbox/image-file/root.erofs'],
  );
});
