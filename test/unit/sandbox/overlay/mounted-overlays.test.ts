/** The overlays of a container, from a mount table that root inside may have changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlaysIn } from '../../../../src/sandbox/overlay/mounted-overlays.js';

const line = (point: string, options: string, { root = '/', type = 'overlay' } = {}) =>
  `36 25 0:31 ${root} ${point} rw,nosuid,nodev,relatime - ${type} overlay rw,lowerdir=wall/0,${options},index=off`;

test('each has its upper layer and its path', () => {
  const table = [
    '20 1 0:20 / /proc rw - proc proc rw',
    line('/', 'upperdir=upper/0,workdir=work/0'),
    line('/srv/a\\040b\\134', 'upperdir=upper/1,workdir=work/1'),
    line('/srv/\xff', 'upperdir=upper/12,workdir=work/12'),
    '',
  ].join('\n');
  assert.deepEqual(overlaysIn(table), [
    { path: '', upper: 'upper/0' },
    { path: '/srv/a b\\', upper: 'upper/1' },
    { path: '/srv/\udcff', upper: 'upper/12' },
  ]);
});

test('other overlays, parts of one and second mounts are left out', () => {
  const table = [
    line('/', 'upperdir=upper/0,workdir=work/0'),
    line('/mnt', 'upperdir=upper/0,workdir=work/0'),
    line('/part', 'upperdir=upper/1,workdir=work/1', { root: '/etc' }),
    line('/other', 'upperdir=/tmp/upper/2,workdir=x'),
    line('/up', 'upperdir=upper/../../..,workdir=x'),
    line('/long', `upperdir=upper/${'1'.repeat(20)},workdir=x`),
    line('/tmpfs', 'upperdir=upper/3', { type: 'tmpfs' }),
    'nonsense - overlay',
    ' - ',
  ].join('\n');
  assert.deepEqual(overlaysIn(table), [{ path: '', upper: 'upper/0' }]);
});
