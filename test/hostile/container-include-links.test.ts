/**
 * Promise: an include goes over no link out of the mount that it is for, whoever left the link: an image, another root, or
 * an earlier run, in an image of a disk or a directory of the host. The init copies it as root of the host. The attacker
 * has made the image, or was user 0 inside before. The victims are files of a directory of the host that the sandbox may
 * write to, and the devices of the container.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, lxc, type Way } from '../helpers/connections.js';
import { assertStartIsClean } from '../helpers/container-start.js';
import { makeImage, unlessProgram } from '../helpers/images.js';
import { uniqueName } from '../helpers/leftovers.js';
import { containerGround } from '../helpers/oci/container-ground.js';
import { link } from '../helpers/oci/container-traps.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import type { TarEntry } from '../helpers/oci/tar.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

const THROUGH = /(inside|on the host) \S+ is a symbolic link, and may lead out of the mount/;

const { ground, shelf, shared, mountShared, options } = containerGround('includes');
/** By what an include gets into the root. */
const BIND = ['-m', 'guest-bind:/conf=/'];
const FILE = join(ground, 'app.conf');
const TREE = join(ground, 'tree');

before(() => {
  // The QEMU of a machine, another user, reads the store.
  chmodSync(shelf, 0o755);
  mkdirSync(join(TREE, 'dir'), { recursive: true, mode: 0o755 });
  writeFileSync(FILE, 'included\n', { mode: 0o644 });
  writeFileSync(join(TREE, 'dir/victim'), 'included\n', { mode: 0o666 });
});

async function refused(way: Way, words: readonly string[], why = THROUGH): Promise<void> {
  const earlier = fingerprint(ground);
  const result = await runSandbox(['-c', way.uri, ...words, '--', 'true'], { ...way.options, env: options.env });
  assertFailure(result, why);
  assert.equal(fingerprint(ground), earlier);
  if (way === lxc) assertStartIsClean();
}

async function runs(words: readonly string[], script: string, out: string): Promise<void> {
  const args = ['-c', lxc.uri, ...words, '--', 'sh', '-c', script];
  assertRun(await runSandbox(args, options), 0, out);
}

/** What an image has in the ways of includes, and those. */
const TRAPS: readonly (readonly [entries: readonly TarEntry[], words: readonly string[]])[] = [
  [[link('etc/app.conf', '/srv/shared/victim')], ['-i', `/conf/etc/app.conf=${FILE}`]],
  [[link('etc/app.conf', '../srv/shared/new')], ['-i', `/conf/etc/app.conf=${FILE}`]],
  [[link('etc/app.conf', '/dev/sda')], ['-i', `/conf/etc/app.conf=${FILE}`]],
  [[link('etc/app.conf', '/proc/1/root/srv/shared/victim')], ['-i', `/conf/etc/app.conf=${FILE}`]],
  [[link('etc/app.conf', 'app.conf')], ['-i', `/conf/etc/app.conf=${FILE}`]],
  [
    [link('etc/app', 'two'), link('etc/two', '/srv/shared/dir')],
    ['-i', `/conf/etc/app/new=${FILE}`],
  ],
  [[link('etc/app', '/srv/shared')], ['-i', `/conf/etc/app=${TREE}`]],
  [
    [{ name: 'etc/app/', type: '5' }, link('etc/app/dir', '/srv/shared/dir')],
    ['-i', `/conf/etc/app=${TREE}`],
  ],
  [
    [{ name: 'etc/app/', type: '5' }, link('etc/app/app.conf', '/srv/shared/victim')],
    ['-m', 'guest-bind:/mnt=/etc/app', '-i', `/mnt/app.conf=${FILE}`],
  ],
  // The mount is where the image wants it.
  [
    [link('data', 'mnt'), { name: 'mnt/', type: '5' }],
    ['-m', 'ram:/mnt=1M', '-m', `host-bind:/data=${shared}`, '-i', `/mnt/victim=${FILE}`],
  ],
];

describe('an include of a container', { skip: lxc.skip || unlessBusyboxImage }, () => {
  it('goes over no link of an image out of its root', async (t) => {
    for (const [entries, words] of TRAPS) {
      const image = scratchImage(t, entries);
      for (const overlay of [[], [`--overlay=${join(shelf, uniqueName())}`]])
        await refused(lxc, ['--root', image, ...overlay, ...mountShared, ...BIND, ...words]);
    }
  });

  it('goes over links of an image in its root, also where that is kept', async (t) => {
    const entries: TarEntry[] = [
      link('sbin', 'bin'),
      link('etc/app.conf', '/opt/own/file'),
      { name: 'opt/', type: '5' },
      link('opt/own', '../var/./own/'),
      { name: 'var/own/', type: '5' },
      { name: 'var/own/file', data: 'of the image\n', mode: 0o600 },
    ];
    const image = scratchImage(t, entries);
    const words = [
      '-i',
      `/conf/etc/app.conf=${FILE}`,
      '-i',
      `/conf/sbin/tree=${TREE}`,
      '-i',
      `/conf/opt/own/new/one=${FILE}`,
    ];
    const script =
      'cat /var/own/file /bin/tree/dir/victim /var/own/new/one; stat -c %a /var/own/file; readlink /etc/app.conf; readlink /sbin';
    const out = 'included\nincluded\nincluded\n644\n/opt/own/file\nbin\n';
    const kept = `--overlay=${join(shelf, uniqueName())}`;
    for (const overlay of [[], [kept], [kept]])
      await runs(['--root', image, ...overlay, ...BIND, ...words], script, out);
  });

  it('goes over no link that an earlier run has left in what is kept of an image', async (t) => {
    const image = scratchImage(t, [link('own', 'opt'), { name: 'opt/', type: '5' }, { name: 'var/', type: '5' }]);
    for (const [script, target] of [
      ['ln -s opt /new', '/new/x'],
      ['rm /own; ln -s var /own', '/own/x'],
      ['rmdir /opt; ln -s var /opt', '/own/x'],
      ['ln -s ../var/x /opt/x', '/own/x'],
    ] as const) {
      const kept = `--overlay=${join(shelf, uniqueName())}`;
      await runs(['--root', image, kept], script, '');
      await refused(lxc, ['--root', image, kept, ...BIND, '-i', `/conf${target}=${FILE}`]);
    }
  });

  it('goes over no link of another root', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t);
    mkdirSync(join(root, 'etc/app'), { recursive: true });
    mkdirSync(join(root, 'srv/shared'), { recursive: true });
    symlinkSync('/srv/shared/victim', join(root, 'etc/app/app.conf'));
    const bind = ['-m', 'guest-bind:/mnt=/etc/app'];
    mkdirSync(join(root, 'mnt'));
    await refused(lxc, ['-r', root, '--overlay', ...mountShared, ...bind, '-i', `/mnt/app.conf=${FILE}`]);
  });

  it('goes over no link that an earlier run has left in a disk', { skip: unlessProgram('mkfs.ext4') }, async (t) => {
    for (const [script, target] of [
      ['ln -s /dev/sda /media/app.conf', '/media/app.conf'],
      ['ln -s /mnt/victim /media/app.conf', '/media/app.conf'],
      ['ln -s /mnt /media/app', '/media/app/dir/victim'],
    ] as const) {
      const disk = ['-m', `host-image:/media=${makeImage(shelfOf(t), 'ext4')}`];
      await runs(disk, script, '');
      await refused(lxc, [...disk, '-m', `host-bind:/mnt=${shared}`, '-i', `${target}=${FILE}`]);
      await runs([...disk, '-i', `/media/new=${FILE}`], 'cat /media/new; touch /media/more', 'included\n');
    }
  });
});

/** Where a container finds it: /tmp is its own. */
function shelfOf(t: TestContext): string {
  const directory = mkdtempSync(join(shelf, 'disk-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('an include of a machine', { skip: embedded.skip }, () => {
  const B = ['-m', `host-bind:/mnt=${shared}`];

  it('goes over no link of an image to a directory of the host', { skip: unlessBusyboxImage }, async (t) => {
    for (const [entries, words] of [TRAPS[0], TRAPS[7]].flatMap((trap) => (trap ? [trap] : [])))
      await refused(embedded, [...ACCEL, '--root', scratchImage(t, entries), ...mountShared, ...BIND, ...words]);
  });

  it('goes over no link that an earlier run has left in a directory of the host', async (t) => {
    const disk = ['--disk', `file:of=${makeDisk()}`];
    for (const [leadsTo, name, ...words] of [
      ['/mnt/victim', 'app.conf', ...B, '-m', 'guest-bind:/opt=/srv', '-i', `/opt/app.conf=${FILE}`],
      ['/mnt', 'app', ...B, '-m', 'guest-bind:/opt=/srv', '-i', `/opt/app=${TREE}`],
      ['/dev/disk/by-tag/of', 'app.conf', ...disk, '-m', 'guest-bind:/opt=/srv', '-i', `/opt/app.conf=${FILE}`],
      // The directory is where the earlier run wants it.
      ['/opt', 'b', '-m', 'ram:/opt=1M', '-m', `host-bind:/srv/b=${shared}`, '-i', `/opt/victim=${FILE}`],
    ] as const) {
      const a = ['-m', `host-bind:/srv=${shelfOf(t)}`];
      assertRun(await runSandbox(['-c', embedded.uri, ...a, '--', 'ln', '-s', leadsTo, `/srv/${name}`]), 0, '');
      await refused(embedded, [...a, ...words]);
    }
  });

  it('goes over no link of another root', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t);
    for (const name of ['etc', 'mnt', 'opt']) mkdirSync(join(root, name), { recursive: true });
    symlinkSync('/mnt/victim', join(root, 'etc/app.conf'));
    const words = ['-m', 'guest-bind:/opt=/etc', '-i', `/opt/app.conf=${FILE}`];
    await refused(embedded, ['-r', root, '--overlay', ...B, ...words]);
    // The same in a root that the sandbox may write to.
    await refused(embedded, ['-m', `host-bind:/=${root}`, ...B, ...words]);
  });
});

/** Beside what must stay as it is. */
function makeDisk(): string {
  const path = join(ground, 'disk');
  writeFileSync(path, Buffer.alloc(1 << 20));
  return path;
}
