/** The host's mounts below a shared directory. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  mountPointsBelow,
  mountsBelow,
  originOf,
  otherPathsOf,
  placesOf,
} from '../../../../src/sandbox/devices/host-mounts.js';

/** A line of proc_pid_mountinfo(5). */
function line(point: string, type: string, device = '98:0', root = '/'): string {
  const escaped = point.replace(/[ \\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return `36 35 ${device} ${root} ${escaped} rw,noatime master:1 - ${type} /dev/x rw`;
}

test('mounts below a directory are listed once each, parents first', (context) => {
  // Outside /tmp, whose tmpfs is not shown.
  const root = mkdtempSync('/var/tmp/virt-sandbox-test-');
  context.after(() => rmSync(root, { recursive: true }));
  for (const name of ['b/deep', 'a space', 'back\\slash', 'pseudo']) mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'file'), '');
  const table = [
    line('/', 'ext4'),
    line(root, 'tmpfs'),
    line(join(root, 'b/deep'), 'xfs'),
    line(join(root, 'b'), 'ext4'),
    line(join(root, 'b'), 'tmpfs'),
    line(join(root, 'a space'), 'nfs4'),
    line(join(root, 'back\\slash'), 'fuse.sshfs'),
    line(join(root, 'pseudo'), 'sysfs'),
    line(join(root, 'file'), 'ext4'),
    line(join(root, 'gone'), 'ext4'),
    line(`${root}-beside`, 'ext4'),
  ].join('\n');
  assert.deepEqual(mountsBelow(root, `${table}\n`), ['a space', 'b', 'b/deep', 'back\\slash']);
});

test('file systems without a block device are the kernel’s, unless they hold files', () => {
  const types = 'nodev\tsysfs\nnodev\tnewfs\nnodev\toverlay\nnodev\tfuse\n\text4\n';
  const table = [line('/a', 'newfs'), line('/b', 'overlay'), line('/c', 'fuse.sshfs'), line('/d', 'ext4')];
  // What is on top counts.
  table.push(line('/e', 'ext4'), line('/e', 'sysfs'), line('/f', 'autofs'));
  const found = mountPointsBelow('/', table.join('\n'), types);
  assert.deepEqual(
    found.filter(({ isKernels }) => isKernels).map(({ path }) => path),
    ['a', 'e'],
  );
  assert.deepEqual(found.map(({ path }) => path).join(), 'a,b,c,d,e,f');
});

test('who answers for a mount of fuse is known', () => {
  const fuse = (point: string, type: string) => `${line(point, type)},user_id=1000,group_id=1000,allow_other`;
  const table = [fuse('/a', 'fuse'), fuse('/b', 'fuse.sshfs'), fuse('/c', 'fuseblk'), line('/d', 'fuse.x')];
  assert.deepEqual(
    mountPointsBelow('/', table.join('\n')).map(({ fuseUser }) => fuseUser),
    [1000, 1000, undefined, undefined],
  );
});

test('a mount of what is in /run and /tmp is not shown elsewhere either', () => {
  const table = [line('/run', 'tmpfs', '0:25'), line('/mnt/run', 'tmpfs', '0:25'), line('/run/media/a', 'ext4', '8:1')];
  table.push(line('/srv', 'ext4', '8:1'), line('/mnt/other', 'tmpfs', '0:26'));
  // Such as the view of another sandbox.
  table.push(line('/run/elsewhere', 'tmpfs', '0:26'));
  const shown = mountPointsBelow('/mnt', table.join('\n')).filter(({ isKernels }) => !isKernels);
  assert.deepEqual(
    shown.map(({ path }) => path),
    ['other'],
  );
  assert.deepEqual(mountPointsBelow('/', table.join('\n')).find(({ path }) => path === 'srv')?.isKernels, false);
});

test('below the root is every mount but the root', () => {
  assert.deepEqual(mountsBelow('/', `${line('/', 'ext4')}\n${line('/usr', 'ext4')}\n${line('/proc', 'proc')}\n`), [
    'usr',
  ]);
});

test('a directory is also where its file system is mounted once more', () => {
  const table = [
    line('/', 'btrfs', '0:30', '/@'),
    line('/home', 'btrfs', '0:30', '/@home'),
    line('/mnt/all', 'btrfs', '0:30', '/'),
    line('/srv/bound', 'btrfs', '0:30', '/@home/ada'),
    // What is below it is no other place of the whole, and one beside it none at all.
    line('/srv/part', 'btrfs', '0:30', '/@home/ada/part'),
    line('/srv/beside', 'btrfs', '0:30', '/@home/adam'),
    line('/srv/other', 'ext4', '8:1', '/@home/ada'),
  ].join('\n');
  assert.deepEqual(otherPathsOf('/home/ada', `${table}\n`), ['/mnt/all/@home/ada', '/srv/bound']);
  assert.deepEqual(otherPathsOf('/srv/bound/x', `${table}\n`), ['/home/ada/x', '/mnt/all/@home/ada/x']);
  assert.deepEqual(otherPathsOf('/srv/other/x', `${table}\n`), []);
  // Of two on one point the last is seen.
  const covered = [
    line('/', 'ext4'),
    line('/a', 'xfs', '8:2', '/x'),
    line('/a', 'ext4', '8:3'),
    line('/b', 'ext4', '8:3'),
  ];
  assert.deepEqual(otherPathsOf('/a/c', covered.join('\n')), ['/b/c']);
});

test('where a directory is in its file system tells where other mounts show it', () => {
  const host = [line('/', 'ext4', '8:1'), line('/home', 'ext4', '8:2', '/@home')].join('\n');
  const origin = originOf('/home/ada', host);
  assert.deepEqual(origin, { device: '8:2', path: '/@home/ada' });
  const inside = [line('/newroot', 'ext4', '8:1'), line('/newroot/srv', 'ext4', '8:2', '/@home/ada')];
  inside.push(line('/newroot/mnt', 'ext4', '8:2'), line('/newroot/opt', 'ext4', '8:2', '/@home/ada/part'));
  assert.deepEqual(origin && placesOf(origin, inside.join('\n')), ['/newroot/srv', '/newroot/mnt/@home/ada']);
  assert.equal(originOf('/home/ada', line('/srv', 'ext4')), undefined);
});
