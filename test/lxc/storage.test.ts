/** Mounts, images, disks and includes of a container. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import {
  ext4Of,
  FILLED,
  IMAGE_MAKERS,
  type ImageKind,
  imageFile,
  makeImage,
  unlessProgram,
} from '../helpers/images.js';
import { askInside } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const MIB = 1 << 20;

/** A container uses the host's kernel, which has these. */
const FILESYSTEMS = readFileSync('/proc/filesystems', 'utf8').trim().split(/\s+/);
const KINDS = (Object.keys(IMAGE_MAKERS) as ImageKind[]).filter((kind) => FILESYSTEMS.includes(kind));

function run(args: readonly string[], script: string) {
  return runSandbox(['-c', lxc.uri, ...args, '--', 'sh', '-c', script], lxc.options);
}

describe('mounts of a container', { skip: lxc.skip, concurrency: 2 }, () => {
  it('host-bind, ram and guest-bind are made in order, one inside another', async (t) => {
    const host = scratchDirectory(t);
    const result = await run(
      ['-m', 'ram:/mnt=4M', '-m', `host-bind:/mnt/host=${host}`, '-m', 'guest-bind:/srv=/mnt/host'],
      'echo there > /srv/file; stat -f -c %T /mnt; df -k /mnt | tail -n 1 | tr -s " " | cut -d" " -f2',
    );
    assertRun(result, 0, 'tmpfs\n4096\n');
    assert.equal(readFileSync(join(host, 'file'), 'utf8'), 'there\n');
  });

  it('a read-only host-bind cannot be written to', async (t) => {
    const host = scratchDirectory(t);
    writeFileSync(join(host, 'file'), 'kept\n');
    const { out, stderr } = await run(['-m', `host-bind:/mnt=${host},ro`], 'cat /mnt/file; echo no > /mnt/file');
    assert.equal(out, 'kept\n');
    assert.match(stderr, /Read-only file system/);
    assert.equal(readFileSync(join(host, 'file'), 'utf8'), 'kept\n');
  });

  it('files have the same owner on the host and inside', async (t) => {
    const host = scratchDirectory(t);
    execFileSync('chown', ['nobody', host]);
    assertRun(await run(['-S', 'nobody', '-m', `host-bind:/mnt=${host}`], 'umask 077; echo x > /mnt/mine'), 0, '');
    const { uid, mode } = statSync(join(host, 'mine'));
    assert.deepEqual({ uid, mode: mode & 0o777 }, { uid: statSync(host).uid, mode: 0o600 });
  });

  it('root inside owns what root owns on the host, and not what another user does', async (t) => {
    const host = scratchDirectory(t);
    for (const [name, owner] of [
      ['mine', 'root'],
      ['other', 'nobody'],
    ] as const) {
      writeFileSync(join(host, name), `of ${owner}\n`, { mode: 0o600 });
      execFileSync('chown', [owner, join(host, name)]);
    }
    const { out, stderr } = await run(
      ['-m', `host-bind:/mnt=${host}`],
      'stat -c %U /mnt/mine /mnt/other; cat /mnt/mine; cat /mnt/other; umask 077; echo x >/mnt/new',
    );
    assert.equal(out, 'root\nnobody\nof root\n');
    assert.match(stderr, /\/mnt\/other: Permission denied\n$/);
    const { uid, gid } = statSync(join(host, 'new'));
    assert.deepEqual({ uid, gid }, { uid: 0, gid: 0 });
  });

  it('a file system that cannot have other owners is refused for root, and not for its owner', {
    skip: FILESYSTEMS.includes('overlay') ? false : 'this kernel has no overlayfs',
  }, async (t) => {
    const host = scratchDirectory(t);
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(host, name));
    for (const directory of [lower, upper, work, merged]) mkdirSync(directory ?? '');
    execFileSync('chown', ['nobody', upper ?? '']);
    besideLxc(
      'mount',
      '-t',
      'overlay',
      '-o',
      `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
      'none',
      `${merged}`,
    );
    try {
      const bind = ['-m', `host-bind:/mnt=${merged}`];
      assertFailure(await run(bind, 'true'), /mount_setattr\(\/mnt, MOUNT_ATTR_IDMAP\)/, /-S USER/);
      assertRun(await run([...bind, '-S', 'nobody'], 'echo kept >/mnt/file; cat /mnt/file'), 0, 'kept\n');
    } finally {
      besideLxc('umount', `${merged}`);
    }
  });

  it('a target may be a symbolic link', {
    skip: lstatSync('/var/run').isSymbolicLink() ? false : '/var/run is no link here',
  }, async (t) => {
    const host = scratchDirectory(t);
    writeFileSync(join(host, 'file'), 'there\n');
    assertRun(await run(['-m', `host-bind:/var/run=${host}`], 'cat /run/file'), 0, 'there\n');
  });

  it('a fresh directory starts empty, belongs to the user, and is removed afterwards', async () => {
    const name = uniqueName();
    const result = await run(
      ['-n', name, '-S', 'nobody', '-m', 'host-bind:/mnt='],
      'ls -A /mnt; touch /mnt/x; stat -c "%U %a" /mnt',
    );
    assertRun(result, 0, 'nobody 700\n');
    await assertNothingLeft(name, lxc.where);
  });

  it('a mount on / replaces the root and is writable', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t);
    const result = await run(['-m', `host-bind:/=${root}`], 'echo new > /file; /bin/busybox ls -d /proc/1');
    assertRun(result, 0, '/proc/1\n');
    assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'new\n');
  });

  it('a root that is no host directory shows the host directories mounted after it', {
    skip: unlessBusybox || unlessProgram('mkfs.ext4'),
  }, async (t) => {
    const directory = scratchDirectory(t);
    writeFileSync(join(directory, 'file'), 'of the host\n');
    const image = ext4Of(makeRoot(t, 'mnt', 'dev', 'proc', 'sys'), join(scratchDirectory(t), 'root.img'));
    const roots = [
      ['-m', 'ram:/=16M', '-i', '/bin/busybox'],
      ['-m', `host-image:/=${image}`],
    ];
    for (const root of roots) {
      const args = ['-c', lxc.uri, ...root, '-m', `host-bind:/mnt=${directory}`];
      const command = ['/bin/busybox', 'sh', '-c', 'busybox ls /; busybox cat /mnt/file'];
      const result = await runSandbox([...args, '--', ...command], lxc.options);
      assert.equal(result.stderr, '');
      assert.match(result.out, /^bin\ndev\n(lost\+found\n)?mnt\nproc\nrun\nsys\ntmp\nof the host\n$/);
    }
  });

  it('a target that cannot be created is an error with a remedy', async (t) => {
    assertFailure(
      await run(['-m', `host-bind:/no-such-directory=${scratchDirectory(t)}`], 'true'),
      /\/no-such-directory/,
      /read-only/,
    );
  });

  it('includes are copied into the mounts above them', async (t) => {
    const host = scratchDirectory(t);
    const result = await run(
      [
        '-m',
        'ram:/mnt=4M',
        '-m',
        `host-bind:/srv=${host}`,
        '-i',
        '/mnt/etc/group=/etc/group',
        '-i',
        '/srv/group=/etc/group',
      ],
      'cmp /mnt/etc/group /etc/group && cmp /srv/group /etc/group && echo same',
    );
    assertRun(result, 0, 'same\n');
    assert.ok(existsSync(join(host, 'group')));
  });
});

describe('disks and images of a container', { skip: lxc.skip || unlessProgram('mkfs.ext4'), concurrency: 2 }, () => {
  it('root inside owns its disks and what is root’s on its images', async (t) => {
    const file = join(scratchDirectory(t), 'disk');
    writeFileSync(file, 'of root\n'.padEnd(MIB, '\0'));
    const image = makeImage(scratchDirectory(t), 'ext4');
    const result = await run(
      ['--disk', `file:a=${file}`, '-m', `host-image:/mnt=${image}`],
      'head -n 1 /dev/disk/by-tag/a; umask 077; echo kept >/mnt/file; cat /mnt/file; stat -c %U /mnt /mnt/file',
    );
    assertRun(result, 0, 'of root\nkept\nroot\nroot\n');
    assert.equal(imageFile(image, 'file'), 'kept\n');
  });

  it('a disk is found by its tag, belongs to the user, and writes reach the file', async (t) => {
    const file = join(scratchDirectory(t), 'disk');
    writeFileSync(file, '');
    truncateSync(file, 8 * MIB);
    const script = [
      'readlink /dev/disk/by-tag/cache',
      'stat -L -c %U /dev/disk/by-tag/cache',
      'mkfs.ext4 -q -F -L by-tag /dev/disk/by-tag/cache',
      'head -c 1048576 /dev/zero | tr "\\0" x | dd of=/dev/disk/by-tag/cache bs=1M seek=7 conv=notrunc 2>/dev/null',
    ].join('; ');
    assertRun(await run(['-S', 'nobody', '--disk', `file:cache=${file}`], script), 0, '../../sda\nnobody\n');
    const bytes = readFileSync(file);
    assert.equal(
      bytes.subarray(7 * MIB).every((byte) => byte === 'x'.charCodeAt(0)),
      true,
    );
    assert.match(bytes.subarray(1024, 2048).toString('latin1'), /by-tag/);
  });

  it('disks of several sandboxes that start at once all get a free loop device', async (t) => {
    const directory = scratchDirectory(t);
    const files = Array.from({ length: 8 }, (_, at) => join(directory, `disk${at}`));
    for (const file of files) writeFileSync(file, `of ${file}\n`.padEnd(MIB, '\0'));
    const results = await Promise.all(
      files.map((file) => run(['--disk', `file:a=${file}`], 'head -n 1 /dev/disk/by-tag/a')),
    );
    for (const [at, result] of results.entries()) assertRun(result, 0, `of ${files[at]}\n`);
  });

  it('paths may be longer than the kernel’s name of a loop device', async (t) => {
    const directory = join(scratchDirectory(t), 'd'.repeat(64));
    mkdirSync(directory);
    const file = join(directory, 'disk');
    writeFileSync(file, 'of root\n'.padEnd(MIB, '\0'));
    const image = join(directory, 'image');
    renameSync(makeImage(scratchDirectory(t), 'ext4'), image);
    // The name is in the path of what stands for the long one.
    for (const name of [uniqueName(), `${uniqueName()}-${'n'.repeat(40)}`]) {
      const result = await run(
        ['-n', name, '--disk', `file:a=${file}`, '-m', `host-image:/mnt=${image}`],
        'head -n 1 /dev/disk/by-tag/a; echo kept >/mnt/file; cat /mnt/file',
      );
      assertRun(result, 0, 'of root\nkept\n');
      assert.equal(imageFile(image, 'file'), 'kept\n');
      await assertNothingLeft(name, lxc.where);
    }
  });

  it('a block device of the host works as a disk', async (t) => {
    const file = join(scratchDirectory(t), 'disk');
    writeFileSync(file, 'from the host\n'.padEnd(MIB, '\0'));
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    t.after(() => execFileSync('losetup', ['--detach', device]));
    assertRun(await run(['--disk', `block:raw=${device}`], 'head -n 1 /dev/disk/by-tag/raw'), 0, 'from the host\n');
  });

  it("an image's file system is mounted, and intact after the unmount", async (t) => {
    const image = makeImage(scratchDirectory(t), 'ext4');
    const args = ['-m', `host-image:/mnt=${image}`];
    assertRun(await run(args, 'stat -f -c %T /mnt; echo kept > /mnt/file'), 0, 'ext2/ext3\n');
    execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'ignore' });
    assertRun(
      await run(['-m', `host-image:/mnt=${image},ro`], 'cat /mnt/file; touch /mnt/x 2>/dev/null || echo ro'),
      0,
      'kept\nro\n',
    );
  });

  it('more disks than letters, each under its tag', async (t) => {
    const directory = scratchDirectory(t);
    const tags = Array.from({ length: 28 }, (_, index) => `tag${index}`);
    const args = tags.flatMap((tag) => {
      writeFileSync(join(directory, tag), `I am ${tag}.`.padEnd(4096));
      return ['--disk', `file:${tag}=${join(directory, tag)}`];
    });
    const script = `for tag in ${tags.join(' ')}; do head -c 12 /dev/disk/by-tag/$tag | cut -d. -f1; done; ls /dev/sda?`;
    const expected = [...tags.map((tag) => `I am ${tag}`), '/dev/sdaa', '/dev/sdab'];
    assertRun(await run(args, script), 0, `${expected.join('\n')}\n`);
  });

  it('every file system of this kernel is detected from the image', {
    skip: unlessProgram(...KINDS.map((kind) => IMAGE_MAKERS[kind].program)),
  }, async (t) => {
    const directory = scratchDirectory(t);
    const mounts = KINDS.flatMap((kind) => ['-m', `host-image:/mnt/${kind}=${makeImage(directory, kind)}`]);
    const questions = Object.fromEntries(
      KINDS.map((kind) => [
        kind,
        `awk '$2 == "/mnt/${kind}" {print $3, substr($4, 1, 2)}' /proc/mounts; cat /mnt/${kind}/hello 2>/dev/null; ` +
          `echo new > /mnt/${kind}/new; cat /mnt/${kind}/new`,
      ]),
    );
    const found = await askInside(lxc, ['-m', 'ram:/mnt=1M', ...mounts], questions);
    for (const kind of KINDS) {
      if (FILLED.has(kind)) assert.match(found[kind] ?? '', new RegExp(`^${kind} ro\nhello\n.*Read-only file system`));
      else assert.equal(found[kind], `${kind} rw\nnew`);
    }
  });

  it('several images, in any order, are mounted on their targets', async (t) => {
    const directory = scratchDirectory(t);
    const images = ['a', 'b', 'c'].map((name) => {
      mkdirSync(join(directory, name));
      return makeImage(join(directory, name), 'ext4');
    });
    const mounts = [
      '-m',
      'ram:/mnt=1M',
      ...images.flatMap((image, index) => ['-m', `host-image:/mnt/${index}=${image}`]),
    ];
    const result = await run(
      mounts,
      'for i in 0 1 2; do echo $i > /mnt/$i/number; done; cut -d" " -f2 /proc/mounts | grep -c "^/mnt/[012]$"',
    );
    assertRun(result, 0, '3\n');
    const check = ['-m', `host-image:/mnt=${images[1]}`];
    assertRun(await run(check, 'cat /mnt/number'), 0, '1\n');
  });

  it('an image that is not raw is refused: it needs network block devices, which this kernel lacks', {
    skip: unlessProgram('qemu-img') || (existsSync('/dev/nbd0') && 'this kernel has network block devices'),
  }, async (t) => {
    const image = join(scratchDirectory(t), 'disk.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '8M']);
    const result = await run(['--disk', `file:q=${image},format=qcow2`], 'true');
    assertFailure(result, /nbd/, /network block devices/, /qemu-img convert/);
  });
});
