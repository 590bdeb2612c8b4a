/** Containers whose OCI image is a loop device of the host, where the kernel does not mount the file itself. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { besideLxc, enterLxc, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, leftAtLast, uniqueName } from '../helpers/leftovers.js';
import { LoopedStore } from '../helpers/oci/looped-store.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { type TarEntry, tarOf } from '../helpers/oci/tar.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const skip = lxc.skip || unlessBusyboxImage || unlessProgram('losetup', 'blkid');
const ENTRIES: readonly TarEntry[] = [{ name: 'etc/secret', data: 'of web\n', mode: 0o600, uid: 1234, gid: 1235 }];

/** Bytes of an LVM label, and of an md superblock: blkid knows them by these. */
function label(): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('LABELONE', 0, 'latin1');
  bytes.writeBigUInt64LE(1n, 8);
  bytes.write('LVM2 001', 24, 'latin1');
  return bytes;
}

/** A store of the test's own, whose images it may look at while others run. */
function ground(t: TestContext) {
  const store = new LoopedStore();
  t.after(() => store.remove());
  const options = { ...lxc.options, env: store.env };
  const run = (image: string, ...words: string[]) => runSandbox(['-c', lxc.uri, '--root', image, ...words], options);
  return { store, options, run };
}

describe('an image on a loop device', { skip, concurrency: 2 }, () => {
  it('runs, and leaves no such device', async (t) => {
    const { store, run } = ground(t);
    const image = scratchImage(t, ENTRIES);
    const name = uniqueName();
    const script = 'cat /etc/secret; stat -c %U /etc/secret; cut -d " " -f 1 /proc/mounts | grep ^/dev/sda; true';
    const words = ['-n', name, '--user', 'web', '--', 'sh', '-c', script];
    assertRun(await run(image, ...words), 0, 'of web\nweb\n');
    await assertNothingLeft(name, lxc.where);
    assert.deepEqual(await leftAtLast(() => store.loops()), []);
  });

  it('is written to by nobody, with -p neither', async (t) => {
    const { run } = ground(t);
    const image = scratchImage(t, [{ name: 'etc/mark', data: 'of the image\n' }]);
    const attack = 'for disk in /dev/sd?; do test -b $disk && dd if=/bin/sh of=$disk count=1 2>&1; done';
    for (const words of [[], ['-p']]) {
      const result = await run(image, ...words, '--', 'sh', '-c', attack);
      assert.match(result.out, /Operation not permitted|Permission denied/);
      assertRun(await run(image, '--', 'cat', '/etc/mark'), 0, 'of the image\n');
    }
  });

  it('keeps what is written in a directory', async (t) => {
    const { run } = ground(t);
    const kept = `--overlay=${join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept')}`;
    const image = scratchImage(t, ENTRIES);
    assertRun(await run(image, kept, '--', 'sh', '-c', 'echo more >>/etc/secret'), 0, '');
    assertRun(await run(image, kept, '--', 'cat', '/etc/secret'), 0, 'of web\nmore\n');
  });

  it('is refused without loop devices', async (t) => {
    const { options, run } = ground(t);
    const image = scratchImage(t);
    assertRun(await run(image, '--', 'true'), 0, '');
    // A /dev without it: what opens one asks there.
    const nodes = [
      ['null', 3],
      ['zero', 5],
      ['random', 8],
      ['urandom', 9],
    ].map(([name, minor]) => `mknod -m 666 /dev/${name} c 1 ${minor}`);
    const bare = ['unshare', '--mount', 'sh', '-euc', `mount -t tmpfs none /dev; ${nodes.join('; ')}; exec "$@"`, 'sh'];
    const through = [...enterLxc, ...bare];
    const result = await runSandbox(['-c', lxc.uri, '--root', image, '--', 'true'], { ...options, through });
    assertFailure(result, /this host has no \/dev\/loop-control/, /modprobe loop/);
  });

  it('is no part of a volume group of the host, whatever is in it', async (t) => {
    const { store, run } = ground(t);
    const pretends = Buffer.concat(Array.from({ length: 64 }, () => Buffer.concat([label(), Buffer.alloc(3584)])));
    const image = scratchImage(t, [
      { name: './', type: '5', pax: { 'SCHILY.xattr.user.a': pretends.subarray(0, 3000).toString('latin1') } },
      { name: 'a', data: pretends },
    ]);
    assertRun(await run(image, '--', 'true'), 0, '');
    const roots = join(store.env.XDG_CACHE_HOME, 'virt-sandbox/oci/roots');
    const files = besideLxc('find', roots, '-name', 'root.erofs').trim().split('\n');
    for (const file of files)
      assert.equal(besideLxc('blkid', '--probe', '--output', 'value', '--match-tag', 'TYPE', file), 'erofs\n');
  });

  it('is refused where the host would take it for something else', async (t) => {
    const { run } = ground(t);
    // The magic number of VMFS, at 1 MiB.
    const volume = Buffer.alloc(4096);
    volume.writeUInt32LE(0xc001_d00d, 0);
    const archive = join(scratchDirectory(t), 'root.tar');
    writeFileSync(archive, tarOf({ name: 'a', data: Buffer.concat(Array.from({ length: 512 }, () => volume)) }));
    const result = await run(`tar:${archive}`, '--', 'true');
    assertFailure(result, /blkid does not take it for EROFS: VMFS_volume_member/, /another image/);
  });
});
