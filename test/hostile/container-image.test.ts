/**
 * Promise: an image that is the root of a container reaches nothing of the host's, whatever is in it: devices, programs
 * with set-user-ID bits or capabilities, links where the init mounts, writes and makes directories as root of the host.
 * Root inside has capabilities that count in its own user namespace only, and leaves nothing in a kept overlay that leads
 * the next container elsewhere. The attacker has made the image, and is root in it. The victims are files of the host,
 * the mount points that all containers share, and the store.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { CALLS, FAMILIES, MISSING, perl } from '../helpers/container-calls.js';
import { suProgram } from '../helpers/elf.js';
import { unlessProgram } from '../helpers/images.js';
import { ask, type Facts } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import type { TarEntry } from '../helpers/oci/tar.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

const skip = lxc.skip || unlessBusyboxImage || unlessProgram('perl', 'getfattr');
const NOBODY = 65_534;
/** What root of an image has. */
const OWN = '00000000800405fb';

const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-image-');
const shelf = mkdtempSync('/var/tmp/virt-sandbox-hostile-shelf-');
/** A directory that the sandbox may write to. */
const shared = join(ground, 'shared');
const SHARED = ['-m', `host-bind:/srv/shared=${shared}`];
const options = { ...lxc.options, env: { XDG_CACHE_HOME: join(shelf, 'cache') } };

before(() => {
  chmodSync(ground, 0o755);
  mkdirSync(join(shared, 'dir'), { recursive: true, mode: 0o755 });
  mkdirSync(join(shelf, 'cache'));
  writeFileSync(join(shared, 'victim'), 'whole\n', { mode: 0o644 });
});
after(() => {
  for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
});

/** The host's files that a start must not change: `shared`, and what all containers start in. */
function victims(): string {
  const points = besideLxc('sh', '-c', 'find /run/libvirt-sandbox/.container -printf "%p %m %U %y\\n" | sort');
  return `${fingerprint(ground)}\n${points}`;
}

/** Asks in a container of an image. */
function inside<T extends Facts>(image: string, words: readonly string[], facts: T, stderr?: RegExp) {
  const how = { ...options, shell: ['/bin/sh'], ...(stderr && { stderr }) };
  return ask(['-c', lxc.uri, '--root', image, ...words], facts, how);
}

const link = (name: string, target: string): TarEntry => ({ name, type: '2', link: target });

/** An attribute `security.capability` of version 2: permitted, and effective at once. */
function fileCapabilities(low: number, high = 0): string {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(0x0200_0001, 0);
  bytes.writeUInt32LE(low, 4);
  bytes.writeUInt32LE(high, 12);
  return bytes.toString('latin1');
}

const su = suProgram();
const TRAPS: readonly TarEntry[] = [
  { name: 'disk', type: '4', major: 8, minor: 0, mode: 0o666 },
  { name: 'loop', type: '4', major: 7, minor: 0, mode: 0o666 },
  { name: 'mem', type: '3', major: 1, minor: 1, mode: 0o666 },
  { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: 'terminal', type: '3', major: 136, minor: 1, mode: 0o666 },
  { name: 'su', data: su, mode: 0o6755 },
  { name: 'su-big', data: su, mode: 0o6755, uid: 5_000_000, gid: 5_000_000 },
  {
    name: 'capable',
    data: su,
    mode: 0o755,
    pax: { 'SCHILY.xattr.security.capability': Buffer.from(fileCapabilities(0x8004_05fb), 'latin1') },
  },
  {
    name: 'almighty',
    data: su,
    mode: 0o755,
    pax: { 'SCHILY.xattr.security.capability': Buffer.from(fileCapabilities(0xffff_ffff, 0x1ff), 'latin1') },
  },
  // With the host's /usr it has the host's programs.
  ...['lib', 'lib64'].map((name) => link(name, `usr/${name}`)),
  { name: 'usr/', type: '5' },
];

const USR = ['-m', 'host-bind:/usr=/usr,ro'];
/** What its programs cannot get at, as whoever they are. */
const REACH =
  'cat /proc/1/environ; ls /proc/1/root/; cat /proc/1/fd/100; kill -9 1; mount -t tmpfs none /srv; umount /dev/shm; ' +
  'unshare -m true; mknod /n b 8 0; mknod /n c 1 1; echo 1 > /proc/sys/kernel/core_pattern; ' +
  'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 9 > /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname x; ' +
  'date -s 2020-01-01 >/dev/null; for file in /disk /loop /mem /null /terminal /dev/sda; do head -c 1 $file; done';
const REFUSED = 20;

describe('an image of a container', { skip, concurrency: 2 }, () => {
  it('has no device, and makes nobody more than root of its own namespace', async (t) => {
    const image = scratchImage(t, TRAPS);
    const status = 'grep -E "^(Uid|CapEff)" /proc/self/status | cut -f2';
    for (const user of ['web', 'root']) {
      const found = await inside(image, ['--user', user], {
        su: `/su sh -c '${status}; ${REACH}' 2>&1`,
        big: `/su-big sh -c '${status}'`,
        capable: `/capable sh -c '${status}; ${REACH}' 2>&1`,
        almighty: '/almighty sh -c id',
      });
      for (const answers of [found.su, found.capable]) {
        const [uid, capabilities, ...refused] = answers.split('\n');
        assert.deepEqual([uid, capabilities], ['0', OWN], answers);
        assert.equal(refused.length, REFUSED, answers);
        for (const line of refused)
          assert.match(line, /ermission denied|Operation not permitted|Read-only file system|are you root/, line);
      }
      assert.equal(found.big, user === 'web' ? `1234\n${'0'.repeat(16)}` : `0\n${OWN}`);
      assert.match(found.almighty, /Operation not permitted$/);
    }
  });

  it('makes no system call that others cannot make, but chroot', async (t) => {
    const image = scratchImage(t, TRAPS);
    const found = await inside(image, [...USR], {
      ...CALLS,
      ...MISSING,
      ...FAMILIES,
      handle: perl('syscall(304, -1, 0, 0)'),
      trace: perl('syscall(101, 16, 1, 0, 0)'),
      root: 'chroot / /bin/echo rooted',
    });
    const answers = (names: object, answer: string) => Object.keys(names).map((name) => [name, answer]);
    assert.deepEqual(found, {
      ...Object.fromEntries([
        ...answers(CALLS, 'Operation not permitted'),
        ...answers(MISSING, 'Function not implemented'),
        ...answers(FAMILIES, 'Address family not supported by protocol'),
      ]),
      handle: 'Operation not permitted',
      trace: 'Operation not permitted',
      root: 'rooted',
    });
  });

  for (const name of ['dev', 'proc', 'sys'])
    it(`is refused with a link at /${name}, which leads nowhere`, async (t) => {
      const earlier = victims();
      for (const target of ['/', '/native', '../..', '/dev/.sandbox', 'nowhere']) {
        const image = scratchImage(t, [link(name, target)]);
        const result = await runSandbox(['-c', lxc.uri, '--root', image, ...SHARED, '--', 'true'], options);
        assertFailure(result, new RegExp(`the image has a symbolic link or a file at /${name},`));
      }
      assert.equal(victims(), earlier);
    });

  it('leads what the init writes nowhere', async (t) => {
    const earlier = victims();
    const traps: readonly (readonly [hosts: string, hostname: string, warning?: RegExp])[] = [
      [
        '/srv/shared/victim',
        '/srv/shared/new',
        /\/etc\/hostname is that of the image, which leads to \/srv\/shared\/new/,
      ],
      ['/dev/../srv/shared/dir/new', '../../../../srv/shared/victim', /\/etc\/hosts is that of the image/],
      ['/proc/1/root/srv/shared/victim', '/proc/1/cwd/srv/shared/victim'],
      ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', /^$|sysrq-trigger/],
      ['/proc/1/fd/100/upper/0/evil', '/dev/tty2'],
      [
        'hosts',
        '/sys/new',
        /\/etc\/hosts is that of the image: .*loop\n.*\/etc\/hostname is that of the image, which leads to \/sys\/new/,
      ],
    ];
    for (const [hosts, hostname, warning = /^$/] of traps) {
      const image = scratchImage(t, [link('etc/hosts', hosts), link('etc/hostname', hostname)]);
      const found = await inside(image, SHARED, { runs: 'echo runs', shared: 'ls /srv/shared' }, warning);
      assert.deepEqual(found, { runs: 'runs', shared: 'dir\nvictim' });
    }
    const image = scratchImage(t, [
      { name: 'etc/hosts', type: '5' },
      { name: 'etc/hostname', type: '4', major: 8, minor: 0, mode: 0o666 },
    ]);
    const found = await inside(
      image,
      SHARED,
      { runs: 'cat /etc/hostname' },
      /\/etc\/hosts is that of the image: .*Not a directory/,
    );
    assert.match(found.runs, /^sandbox-/);
    assert.equal(victims(), earlier);
  });

  it('has a working directory, and mounts, inside of its root only', async (t) => {
    const earlier = victims();
    const made = uniqueName();
    const READ_ONLY = ['-m', `host-bind:/srv/shared=${shared},ro`];
    for (const target of [
      '../../../..',
      '/proc/1/root',
      '/proc/1/cwd',
      '/native',
      '/srv/shared',
      '/dev/.sandbox',
      'way',
    ]) {
      const image = scratchImage(t, [link('way', target)], { WorkingDir: `/way/${made}` });
      const words = ['-c', lxc.uri, '--root', image, ...READ_ONLY, '-m', `ram:/way/${made}x=1M`, '--', 'true'];
      const { code, stderr } = await runSandbox(words, options);
      // It starts, or says why not.
      assert.ok(code === 0 || (code === 125 && stderr.split('\n').length === 2), `${target}: ${code}: ${stderr}`);
    }
    for (const directory of [`/../../${made}`, `../../${made}`, `/proc/1/root/../../${made}`]) {
      const image = scratchImage(t, [], { WorkingDir: directory });
      await runSandbox(['-c', lxc.uri, '--root', image, ...READ_ONLY, '--', 'true'], options);
    }
    assert.equal(victims(), earlier);
    for (const above of ['/', '/run/libvirt-sandbox', '/srv', '/var/tmp'])
      assert.ok(!readdirSync(above).some((name) => name.includes(made)), above);
  });

  it('is not mounted from a file that somebody else may write to', async (t) => {
    const image = scratchImage(t);
    const cache = join(shelf, uniqueName());
    const run = () =>
      runSandbox(['-c', lxc.uri, '--root', image, '--', 'true'], { ...options, env: { XDG_CACHE_HOME: cache } });
    assertRun(await run(), 0, '');
    const roots = join(cache, 'virt-sandbox/oci/roots');
    const [id = ''] = readdirSync(roots).filter((name) => !name.startsWith('.'));
    const pattern = /the host's kernel mounts .* not only root's: .*/;
    for (const path of [join(roots, id), join(roots, id, 'root.erofs')]) {
      chownSync(path, NOBODY, NOBODY);
      assertFailure(await run(), new RegExp(`${pattern.source}${path} belongs to user ${NOBODY}`));
      chownSync(path, 0, 0);
    }
    chmodSync(join(roots, id, 'root.erofs'), 0o446);
    assertFailure(await run(), new RegExp(`${pattern.source}everybody may write`));
    chmodSync(join(roots, id, 'root.erofs'), 0o444);
    // The whole store is another user's: it is not even looked into.
    chownSync(join(cache, 'virt-sandbox/oci'), NOBODY, NOBODY);
    assertFailure(await run(), /images are not kept in/);
    chownSync(join(cache, 'virt-sandbox/oci'), 0, 0);
    assertRun(await run(), 0, '');
  });

  it('is not changed by who writes to it, with -p neither', async (t) => {
    const image = scratchImage(t, [{ name: 'etc/mark', data: 'of the image\n' }]);
    const attack = 'echo x > /etc/mark; rm -r /etc; for disk in /dev/sd?; do dd if=/bin/sh of=$disk count=1 2>&1; done';
    for (const words of [[], ['-p']]) {
      const found = await inside(image, words, { attack, read: 'ls /etc' }, /^$|no barrier/);
      assert.match(found.attack, /Operation not permitted|Permission denied/);
      const again = await inside(image, [], { read: 'cat /etc/mark' });
      assert.equal(again.read, 'of the image');
    }
  });
});

describe('an image of a container, in an overlay that is kept', { skip, concurrency: 2 }, () => {
  /** What keeps an overlay of an image in which that has happened. */
  async function left(image: string, script: string): Promise<string> {
    const kept = `--overlay=${join(shelf, uniqueName())}`;
    assert.deepEqual(await inside(image, [kept, ...USR], { left: `${script}; echo left` }), { left: 'left' });
    return kept;
  }

  it('keeps no program that makes anybody more on the host, or in the next container', async (t) => {
    const image = scratchImage(t, TRAPS);
    // setxattr(2)
    const set = perl(
      `my ($path, $name) = ("/bin/mine", "security.capability"); my $value = pack("H*", "${Buffer.from(fileCapabilities(0x8004_05fb), 'latin1').toString('hex')}"); syscall(188, $path, $name, $value, 20, 0)`,
    );
    const kept = await left(image, `cp /su /bin/mine; ${set} >/dev/null; cp /su /bin/root; chmod 6755 /bin/root`);
    const directory = kept.slice('--overlay='.length);
    const upper = join(directory, 'layers/mounts/%2F/upper/bin');
    for (const name of ['mine', 'root']) {
      const run = spawnSync(join(upper, name), ['sh', '-c', 'id'], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' });
      assert.match(String(run.error), /EACCES/);
    }
    assert.match(execFileSync('getfattr', ['-d', '-m', '-', join(upper, 'mine')], { encoding: 'utf8' }), /capability/);
    const status = 'grep -E "^(Uid|CapEff)" /proc/self/status | cut -f2';
    const found = await inside(image, [kept, '--user', 'web'], {
      mine: `/bin/mine sh -c '${status}; ${REACH}' 2>&1`,
      root: `/bin/root sh -c '${status}; ${REACH}' 2>&1`,
    });
    for (const answers of [found.mine, found.root]) {
      const [uid, capabilities, ...refused] = answers.split('\n');
      assert.deepEqual([uid, capabilities, refused.length], ['0', OWN, REFUSED], answers);
    }
  });

  it('has links of its own that are followed, and none that an earlier run has left', async (t) => {
    const image = scratchImage(t, [link('own', 'real'), { name: 'real/', type: '5' }, { name: 'other/', type: '5' }]);
    const earlier = victims();
    const words = (kept: string, target: string) => [
      ...['-c', lxc.uri, '--root', image, kept, ...SHARED, '-m', `ram:${target}=1M`],
      ...['--', 'sh', '-c', 'grep -c tmpfs.*size=1024k /proc/mounts'],
    ];
    assertRun(await runSandbox(words(await left(image, 'true'), '/own/deep'), options), 0, '1\n');
    for (const [script, target, shown] of [
      ['ln -s /srv/shared/dir /new', '/new/x', '/new'],
      ['rm /own; ln -s /srv/shared /own', '/own/dir/x', '/own'],
      ['rmdir /real; ln -s /srv/shared/dir /real', '/own/x', '/real'],
      ['rmdir /other; ln -s real /other', '/other/x', '/other'],
      ['mv /own /real/moved', '/real/moved/x', '/real/moved'],
    ] as const) {
      const result = await runSandbox(words(await left(image, script), target), options);
      assertFailure(result, new RegExp(`over the symbolic link "${shown}"`));
    }
    // Where nothing is mounted it may have what it likes.
    const own = await left(image, 'rm -rf /tmp /run; ln -s real /tmp; ln -s /srv/shared /run');
    assertRun(
      await runSandbox(['-c', lxc.uri, '--root', image, own, ...SHARED, '--', 'readlink', '/tmp'], options),
      0,
      'real\n',
    );
    assert.equal(victims(), earlier);
  });

  it('leads what the init writes nowhere in the next run', async (t) => {
    const image = scratchImage(t);
    const earlier = victims();
    const script =
      'rm -f /etc/hosts /etc/hostname; ln -s /srv/shared/new /etc/hosts; ln -s /srv/shared/victim /etc/hostname; ' +
      'rm -rf /work; ln -s /srv/shared/dir /work';
    const kept = await left(image, script);
    const readOnly = ['-m', `host-bind:/srv/shared=${shared},ro`];
    const found = await inside(
      image,
      [kept, ...SHARED],
      { shared: 'ls /srv/shared' },
      /\/etc\/hosts is that of the image/,
    );
    assert.equal(found.shared, 'dir\nvictim');
    const cwd = await runSandbox(
      ['-c', lxc.uri, '--root', image, kept, ...readOnly, '--cwd', '/work/made', '--', 'true'],
      options,
    );
    assert.equal(cwd.code, 125);
    assert.match(cwd.stderr, /\/work\/made cannot be entered inside/);
    assert.equal(victims(), earlier);
    assert.equal(readFileSync(join(shared, 'victim'), 'utf8'), 'whole\n');
  });
});
