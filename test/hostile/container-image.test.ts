/**
 * Promise: an image that is the root of a container reaches nothing of the host's, whatever is in it: devices, programs
 * with set-user-ID bits or capabilities, links where the init mounts, writes and makes directories as root of the host.
 * Root inside has capabilities that count in its own user namespace only, and leaves nothing in a kept overlay that leads
 * the next container elsewhere. The attacker has made the image, and is root in it. The victims are files of the host,
 * the mount points that all containers share, and the store.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mountsFile } from '../../src/sandbox/devices/erofs-file.js';
import { lxc } from '../helpers/connections.js';
import { CALLS, FAMILIES, MISSING, perl } from '../helpers/container-calls.js';
import { unlessProgram } from '../helpers/images.js';
import { uniqueName } from '../helpers/leftovers.js';
import { containerGround } from '../helpers/oci/container-ground.js';
import { link, OWN, REACH, REFUSED, TRAPS, USR } from '../helpers/oci/container-traps.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';

const skip = lxc.skip || unlessBusyboxImage || unlessProgram('perl', 'getfattr');

const { shelf, shared, mountShared, options, victims, inside } = containerGround('image');

/** What an image is told whose working directory, or the way to a mount, is not in its root. */
const LEADS_NOWHERE = new RegExp(
  [
    'the working directory \\S+ cannot be entered inside',
    'the target \\S+ of a mount is not there, and cannot be made',
    'the mount on \\S+ would go over too many symbolic links',
  ].join('|'),
);

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
          assert.match(
            line,
            /ermission denied|Operation not permitted|Read-only file system|are you root|loop0: No such/,
            line,
          );
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
        const result = await runSandbox(['-c', lxc.uri, '--root', image, ...mountShared, '--', 'true'], options);
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
      const found = await inside(image, mountShared, { runs: 'echo runs', shared: 'ls /srv/shared' }, warning);
      assert.deepEqual(found, { runs: 'runs', shared: 'dir\nvictim' });
    }
    const image = scratchImage(t, [
      { name: 'etc/hosts', type: '5' },
      { name: 'etc/hostname', type: '4', major: 8, minor: 0, mode: 0o666 },
    ]);
    const found = await inside(
      image,
      mountShared,
      { runs: 'cat /etc/hostname' },
      /\/etc\/hosts is that of the image: .*Not a directory/,
    );
    assert.match(found.runs, /^sandbox-/);
    assert.equal(victims(), earlier);
  });

  it('has a working directory, and mounts, inside of its root only', async (t) => {
    const earlier = victims();
    const made = uniqueName();
    for (const target of [
      '../../../..',
      '/proc/1/root',
      '/proc/1/cwd',
      '/native',
      '/srv/shared',
      '/dev/.sandbox',
      '/dev/.sandbox/sandbox:virtiofs0',
      '/proc/1/root/dev/.sandbox/sandbox:virtiofs0',
      'way',
    ]) {
      const image = scratchImage(t, [link('way', target)], { WorkingDir: `/way/${made}` });
      for (const [share, ram] of [
        [`${shared},ro`, `ram:/way/${made}x=1M`],
        [shared, 'ram:/mnt=1M'],
      ]) {
        const mounts = ['-m', `host-bind:/srv/shared=${share}`, '-m', ram ?? ''];
        const result = await runSandbox(['-c', lxc.uri, '--root', image, ...mounts, '--', 'true'], options);
        // It starts, or says what leads nowhere.
        if (result.code === 0) assertRun(result, 0, '');
        else assertFailure(result, LEADS_NOWHERE);
      }
    }
    for (const [directory, isInside] of [
      [`/../../${made}`, true],
      [`../../${made}`, true],
      [`/proc/1/root/../../${made}`, false],
      [`/dev/.sandbox/sandbox:virtiofs0/${made}`, false],
      [`/proc/1/root/dev/.sandbox/sandbox:virtiofs0/${made}`, false],
      [`/srv/shared/${made}`, false],
    ] as const) {
      const image = scratchImage(t, [], { WorkingDir: directory });
      const words = ['-c', lxc.uri, '--root', image, ...mountShared, '--', 'sh', '-c', 'pwd'];
      const result = await runSandbox(words, options);
      if (isInside) assertRun(result, 0, `/${made}\n`);
      else assertFailure(result, new RegExp(`the working directory ${directory} cannot be entered inside`));
    }
    assert.equal(victims(), earlier);
    for (const above of ['/', '/run/libvirt-sandbox', '/srv', '/var/tmp'])
      assert.ok(!readdirSync(above).some((name) => name.includes(made)), above);
  });

  it('is not changed by who writes to it, with -p neither', async (t) => {
    const image = scratchImage(t, [{ name: 'etc/mark', data: 'of the image\n' }]);
    const attack = 'echo x > /etc/mark; rm -r /etc; ls /dev/sd?';
    for (const words of [[], ['-p']]) {
      const found = await inside(image, words, { attack, read: 'ls /etc' }, /^$|no barrier/);
      // Elsewhere it is a loop device, which nobody writes to either: images-looped.test.ts.
      if (mountsFile(shelf)) assert.match(found.attack, /\/dev\/sd.: No such file or directory$/);
      const again = await inside(image, [], { read: 'cat /etc/mark' });
      assert.equal(again.read, 'of the image');
    }
  });
});
