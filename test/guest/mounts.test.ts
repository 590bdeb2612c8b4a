/** Mounts of every type, seen from inside and from the host. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import {
  ext4Of,
  FILLED,
  IMAGE_MAKERS,
  type ImageKind,
  imageFile,
  makeImage,
  unlessProgram,
} from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

for (const way of [embedded, system]) {
  const skip = way.skip || unlessProgram('virtiofsd', 'mkfs.ext4', 'qemu-img');
  it(`every type of mount, in order, over ${way.uri}`, { skip }, async (context) => {
    const name = uniqueName();
    const directory = scratchDirectory(context);
    for (const part of ['rw', 'ro', 'ro/below']) mkdirSync(join(directory, part), { mode: 0o755 });
    writeFileSync(join(directory, 'ro/file'), 'from the host\n');
    const image = makeImage(directory, 'ext4');
    const mounts = [
      `host-bind:/mnt=${directory}/rw`,
      'ram:/mnt/made/ram=3M',
      `host-bind:/srv=${directory}/ro,ro`,
      'host-bind:/srv/below=',
      `host-image:/media=${image}`,
      'ram:/opt=1GiB',
      'guest-bind:/home=/mnt/made/ram',
      // On top of an earlier mount.
      'ram:/opt=5M',
    ];
    // Cold: a snapshot has modules for its slots. What is loaded is the same over every connection.
    const isCold = way === embedded;
    const boot = ['--boot', isCold ? 'cold' : 'auto'];
    const found = await ask(['-c', way.uri, '-n', name, '-p', ...boot, ...mounts.flatMap((mount) => ['-m', mount])], {
      types: `awk '$2 ~ "^/(mnt|srv|media|opt|home)" {print $2, $3, substr($4, 1, 2)}' /proc/mounts`,
      write:
        'echo inside > /mnt/file; mkdir -m 750 /mnt/dir; chown 1234:5678 /mnt/dir; ln -s file /mnt/link; mkfifo /mnt/pipe',
      append: 'echo again >> /mnt/file; cat /mnt/link',
      read: 'cat /srv/file',
      refused: 'mount -o remount,rw /srv; touch /srv/x && echo written',
      fresh: 'ls -A /srv/below; stat -c "%a %u" /srv/below; touch /srv/below/x && ls /srv/below',
      image: 'echo kept > /media/x; df -k /media | tail -n 1 | cut -d" " -f1',
      sizes: 'df -k /opt /mnt/made/ram | awk "NR > 1 {print \\$2}"',
      full: 'head -c 6M /dev/zero > /opt/x || ls -l /opt/x | cut -d" " -f5',
      bound: 'touch /home/y; ls /mnt/made/ram',
      modules: 'lsmod | cut -d" " -f1 | grep -cE "^(xfs|btrfs|squashfs|isofs|vfat|virtio_net)$"',
    });
    assert.deepEqual(found.types.split('\n'), [
      '/mnt virtiofs rw',
      '/mnt/made/ram tmpfs rw',
      '/srv virtiofs ro',
      '/srv/below virtiofs rw',
      '/media ext4 rw',
      '/opt tmpfs rw',
      '/home tmpfs rw',
      '/opt tmpfs rw',
    ]);
    assert.deepEqual([found.write, found.append, found.read], ['', 'inside\nagain', 'from the host']);
    assert.doesNotMatch(found.refused, /written/);
    assert.match(found.refused, /Read-only file system|Permission denied/);
    assert.equal(found.fresh, `700 ${process.getuid?.()}\nx`);
    assert.equal(found.image, '/dev/vda');
    assert.equal(found.sizes, '5120\n3072');
    assert.match(found.full, /No space left/);
    assert.equal(found.bound, 'y');
    if (isCold) assert.equal(found.modules, '0');
    // And on the host.
    assert.equal(readFileSync(join(directory, 'rw/file'), 'utf8'), 'inside\nagain\n');
    const made = statSync(join(directory, 'rw/dir'));
    assert.deepEqual([made.uid, made.gid, made.mode & 0o777], [1234, 5678, 0o750]);
    assert.ok(statSync(join(directory, 'rw/pipe')).isFIFO());
    assert.equal(existsSync(join(directory, 'ro/x')), false);
    assert.deepEqual(readdirSync(join(directory, 'ro/below')), []);
    assert.equal(imageFile(image, 'x'), 'kept\n');
    assert.equal(statSync(image).uid, process.getuid?.(), 'libvirt gives the image back');
    await assertNothingLeft(name, way.where);
  });
}

describe('as an ordinary user over qemu:///session', {
  skip: unlessOrdinaryUser() || unlessProgram('mkfs.ext4'),
}, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  it('files belong to the user, and a fresh directory is removed whatever its modes', async () => {
    const name = uniqueName();
    const [rw, ro] = ['rw', 'ro'].map((part) => join(user.home, part)) as [string, string];
    for (const path of [rw, ro]) mkdirSync(path, { mode: 0o755 });
    const image = makeImage(user.home, 'ext4');
    for (const path of [rw, ro, image]) chownSync(path, user.uid, user.gid);
    const mounts = [`host-bind:/mnt=${rw}`, `host-bind:/srv=${ro},ro`, 'host-bind:/opt=', `host-image:/media=${image}`];
    const args = ['-c', 'qemu:///session', '-n', name, ...mounts.flatMap((mount) => ['-m', mount])];
    const found = await ask(
      args,
      {
        write: 'echo inside > /mnt/file && stat -c %u /mnt/file',
        refused: 'touch /srv/x',
        fresh: 'mkdir -p /opt/a/b /opt/c && touch /opt/c/d && chmod 500 /opt/c && chmod 0 /opt/a && ls /opt',
        image: 'ls /media',
        below: 'ls /opt/c',
      },
      user.options,
    );
    assert.equal(found.write, String(user.uid));
    assert.match(found.refused, /Read-only|Permission denied/);
    assert.equal(found.fresh, 'a\nc');
    assert.equal(found.image, 'lost+found');
    assert.equal(found.below, 'd');
    assert.equal(statSync(join(rw, 'file')).uid, user.uid);
    await assertNothingLeft(name, user.where);
  });
});

it('a fresh directory is removed when the launcher is killed', {
  skip: embedded.skip || unlessProgram('virtiofsd'),
}, async () => {
  const name = uniqueName();
  const script = 'echo full > /mnt/file; echo up; sleep 600';
  const running = startSandbox(['-c', embedded.uri, '-n', name, '-m', 'host-bind:/mnt=', '--', 'sh', '-c', script]);
  await running.until(/up/);
  assert.equal(readFileSync(join(ROOT_STATE, name, 'closed/mount0/file'), 'utf8'), 'full\n');
  running.child.kill('SIGKILL');
  await running.result;
  await assertNothingLeft(name);
});

/** Programs, one after the other, each in memory pages that others used before. */
const REUSED = [
  'for round in 1 2 3; do',
  '  for program in "ls /" "sort /etc/passwd" "awk 1 /etc/passwd" "perl -e 1" "grep -c a /etc/passwd" "sed -n 1p /etc/passwd" "tar -cf - /etc/default"; do',
  '    $program >/dev/null 2>&1 || echo "$program: $?"',
  '  done',
  '  echo 3 >/proc/sys/vm/drop_caches',
  'done',
  'echo done',
].join('\n');

it('programs from virtiofs run intact, also when the kernel was told not to clear memory', {
  skip: embedded.skip || unlessProgram('virtiofsd', 'perl'),
}, async () => {
  const args = [...ACCEL, '--profile', 'fast', '-p', '-c', embedded.uri, '-m', 'host-bind:/=/,ro'];
  const { out, stderr } = await runSandbox([...args, '--', 'bash', '-c', REUSED]);
  assert.deepEqual([out, stderr], ['done\n', '']);
});

const KINDS = Object.keys(IMAGE_MAKERS) as ImageKind[];

it('every known file system is detected from the image', {
  skip: embedded.skip || unlessProgram(...KINDS.map((kind) => IMAGE_MAKERS[kind].program)),
}, async (context) => {
  const directory = scratchDirectory(context);
  const images = KINDS.map((kind) => [kind, makeImage(directory, kind)] as const);
  const mounts = images.flatMap(([kind, image]) => [
    '-m',
    `ram:/mnt/${kind}=1M`,
    '-m',
    `host-image:/mnt/${kind}=${image}`,
  ]);
  const questions = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      `awk '$2 == "/mnt/${kind}" && $3 != "tmpfs" {print $3, substr($4, 1, 2)}' /proc/mounts; cat /mnt/${kind}/hello 2>/dev/null; ` +
        `echo new > /mnt/${kind}/new; cat /mnt/${kind}/new; stat -c %u /mnt/${kind}/new`,
    ]),
  );
  const found = await ask(['-c', embedded.uri, '-p', '-m', 'ram:/mnt=1M', ...mounts], questions);
  for (const kind of KINDS) {
    if (FILLED.has(kind)) assert.match(found[kind] ?? '', new RegExp(`^${kind} ro\nhello\n.*Read-only file system`));
    else assert.equal(found[kind], `${kind} rw\nnew\n0`);
  }
});

it('an image has the format that its file extension says', {
  skip: embedded.skip || unlessProgram('mkfs.ext4', 'qemu-img'),
}, async (context) => {
  const directory = scratchDirectory(context);
  const content = join(directory, 'content');
  mkdirSync(content);
  writeFileSync(join(content, 'hello'), 'hello\n');
  const raw = ext4Of(content, join(directory, 'raw.img'));
  // The extension, and QEMU's name for the format.
  const formats = { qcow2: 'qcow2', vmdk: 'vmdk', vdi: 'vdi', vpc: 'vpc', vhd: 'vpc', iso: 'raw', fat: 'raw' };
  const mounts = Object.entries(formats).flatMap(([extension, format]) => {
    const image = join(directory, `image.${extension}`);
    execFileSync('qemu-img', ['convert', '-O', format, raw, image]);
    return ['-m', `ram:/mnt/${extension}=1M`, '-m', `host-image:/mnt/${extension}=${image},ro`];
  });
  const found = await ask(['-c', embedded.uri, '-m', 'ram:/mnt=1M', ...mounts], {
    hello: 'cat /mnt/*/hello | sort | uniq -c',
  });
  assert.equal(found.hello, `${Object.keys(formats).length} hello`);
});

describe('mounts that are refused', { skip: embedded.skip || unlessProgram('mkfs.ext4'), concurrency: 2 }, () => {
  const cases: readonly (readonly [string, (directory: string) => readonly string[], ...RegExp[]])[] = [
    [
      'a target that is not there',
      () => ['ram:/not-there/below=1M'],
      /^init: the target \/not-there\/below of a mount is not there, and cannot be made, because what it would be in is read-only: mkdir/,
      /; make the directory on the host/,
    ],
    [
      'a target that is a file',
      () => ['ram:/etc/passwd=1M'],
      /the target \/etc\/passwd of a mount is not a directory inside/,
    ],
    [
      'a source that is only mounted later',
      () => ['guest-bind:/mnt=/opt/later', 'ram:/opt=1M', 'ram:/opt/later=1M'],
      /the source \/opt\/later of the mount on \/mnt is not there inside/,
      /named before this one/,
    ],
    [
      'an image that only looks like a file system',
      (directory) => {
        const data = Buffer.alloc(1 << 20, 'junk');
        data.writeUInt16LE(0xef53, 0x438);
        writeFileSync(join(directory, 'junk.img'), data);
        return [`host-image:/mnt=${directory}/junk.img`];
      },
      /the mount on \/mnt \(an ext4 image\) failed: mount\(\/dev\/vda, \/mnt, ext4\)/,
      /fsck/,
    ],
    [
      'an image that QEMU may not read',
      (directory) => {
        // QEMU has no user of its own with this format.
        const image = join(directory, 'private/ext4.vmdk');
        mkdirSync(join(directory, 'private'), { mode: 0o700 });
        execFileSync('qemu-img', ['convert', '-O', 'vmdk', makeImage(directory, 'ext4'), image]);
        return [`host-image:/mnt=${image}`];
      },
      /^domain: .*private\/ext4\.vmdk.*: Permission denied/,
      /readable.* for the user that QEMU runs as/,
    ],
    [
      'an image with nothing in it',
      (directory) => {
        writeFileSync(join(directory, 'empty.img'), Buffer.alloc(1 << 20));
        return [`host-image:/mnt=${directory}/empty.img`];
      },
      /^config: the image of the mount on \/mnt, ".*empty\.img", is not a file system: it holds nothing yet/,
      /mkfs/,
    ],
  ];
  for (const [what, mounts, ...patterns] of cases) {
    it(what, async (context) => {
      const name = uniqueName();
      const directory = scratchDirectory(context);
      chmodSync(directory, 0o755);
      const args = mounts(directory).flatMap((mount) => ['-m', mount]);
      const result = await runSandbox(['-c', embedded.uri, '-n', name, ...args, '--', 'true']);
      const line = assertFailure(result);
      for (const pattern of patterns) assert.match(line, pattern);
      await assertNothingLeft(name);
    });
  }

  it('more devices than the machine has room for', async () => {
    const mounts = Array.from({ length: 100 }, () => ['-m', 'host-bind:/mnt=/srv,ro']).flat();
    assertFailure(
      await runSandbox(['-c', embedded.uri, ...mounts, '--', 'true']),
      /room for 100 devices.* have 102/,
      /leave out/,
    );
  });
});
