/** Our errors for libvirt's errors. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { domainError, hasLibvirtEnded, isQemuGone } from '../../../src/libvirt/errors.js';
import { isOwnDisksError } from '../../../src/sandbox/devices/own-disks.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('the remedy for an existing QEMU does not say to install it', (context) => {
  const directory = scratchDirectory(context);
  const qemu = join(directory, 'qemu-system-x86_64');
  writeFileSync(qemu, '', { mode: 0o755 });
  const { PATH: path = '' } = process.env;
  context.after(() => {
    process.env['PATH'] = path;
  });
  process.env['PATH'] = directory;
  const { code, remedy } = domainError('x', "unsupported configuration: No emulator found for arch 'x86_64'");
  assert.equal(code, 'qemu-missing');
  assert.equal(
    remedy,
    `check that ${qemu} can be executed, and that libvirtd was started with ${directory} in its PATH`,
  );
});

test('an image without a lock is named, also where QEMU names none', () => {
  const xml = `<disk><source file="/a&amp;b.img"></source></disk><disk><source dev="/dev/sdb"></source></disk>`;
  for (const lock of ['"write" lock', 'shared "write" lock']) {
    const bare = domainError('x', `internal error: unable to execute QEMU command 'cont': Failed to get ${lock}`, {
      xml,
    });
    assert.equal(bare.code, 'image-in-use');
    assert.match(bare.message, /lock of \/a&b\.img or \/dev\/sdb$/);
  }
  const named = domainError('x', 'Failed to get "write" lock Is another process using the image [/c.img]?', { xml });
  assert.match(named.message, /using the image \[\/c\.img\]\?$/);
});

test('a kernel that allows no more user namespaces is no full disk', () => {
  const disk = "root-view: cannot give QEMU's user the disk /a.img: No space left on device";
  assert.equal(domainError('x', disk).code, 'disks-not-owned');
  const view = 'root-view: cannot have a user namespace: No space left on device';
  assert.equal(domainError('x', view).code, 'root-view-impossible');
  assert.equal(domainError('x', 'root-view: cannot make /run/x: No space left on device').code, 'disk-full');
  const many = 'unable to write /run/x: Permission denied\ninternal error: Disk quota exceeded';
  assert.equal(domainError('x', many).code, 'disk-full');
  assert.notEqual(domainError('x', "Failed to write pid file '/run/x': Permission denied").code, 'disk-full');
  assert.equal(domainError('x', "internal error: Failed to write pid file '/run/x'").code, 'disk-full');
});

test('a server of the root that cannot be started is no matter of hiding, nor of disks', () => {
  const error = domainError('x', 'root-view: cannot serve the view by /run/x/root-server: Too many levels');
  assert.equal(error.code, 'root-server-failed');
  const message = /^the root cannot be served over virtiofs: cannot serve the view by \/run\/x\/root-server: Too many/;
  assert.match(error.message, message);
  assert.match(error.remedy, /^use --root-fs 9p, with a kernel that has 9p \(--kernver\) where this one has none$/);
  assert.ok(!isOwnDisksError(error));
});

test('a server of a directory that did not run was there, and SELinux may have kept it from its work', () => {
  const denied = 'libvirt:  error : cannot execute binary /x/overlay-server: Permission denied';
  // The first is of a host with Debian's policy.
  for (const [isEnforcing, remedy] of [
    [
      true,
      /^see what SELinux denied: dmesg \| grep avc; .*\(--imagesize\); else see what it said in \/l0 and \/l1, and dmesg /,
    ],
    [false, /^see what it said in \/l0 and \/l1, and dmesg if it was killed$/],
  ] as const)
    for (const message of [
      `internal error: Child process (/x/overlay-server --print-capabilities) unexpected exit status 126: ${denied}`,
      `internal error: virtiofsd died unexpectedly; ${denied}`,
    ]) {
      const error = domainError('x', message, { isEnforcing, serverLogs: ['/l0', '/l1'] });
      assert.equal(error.code, 'share-server-failed');
      assert.match(
        error.message,
        /^libvirt did not start domain x, since the server of one of its .*did not run: .*denied$/,
      );
      assert.match(error.remedy, remedy);
    }
  assert.equal(domainError('x', 'Unable to find a satisfying virtiofsd').code, 'virtiofsd-missing');
});

test('an image is called by the path that the user gave', () => {
  const paths = Array.from({ length: 11 }, (_, index) => [`/p/disks/disk.${index}`, `/user/${index}.img`] as const);
  const sources = new Map(paths);
  const message = 'Failed to get "write" lock Is another process using the image [/p/disks/disk.10]?';
  const { message: said } = domainError('x', `${message} Not [/p/disks/disk.1].`, { sources });
  assert.match(said, /using the image \[\/user\/10\.img\]\? Not \[\/user\/1\.img\]\.$/);
  const xml = '<disk><source file="/p/disks/disk.0"></source></disk>';
  assert.match(domainError('x', 'Failed to get "write" lock', { xml, sources }).message, /lock of \/user\/0\.img$/);
});

test('a label that SELinux refuses is no file that cannot be read', () => {
  // Both are libvirt's words on a host with Debian's policy.
  for (const message of [
    "unable to set socket security context 'system_u:system_r:svirt_tcg_t:s0:c301,c776': Invalid argument",
    "unable to set security context 'system_u:object_r:svirt_image_t:s0:c86,c875' on '/run/libvirt-sandbox/x/console': Permission denied",
  ]) {
    assert.equal(domainError('x', message).code, 'security-label-refused');
  }
});

test("the daemon's directory that Debian closes to other users is said how to open", () => {
  const file = '/var/lib/libvirt/qemu/domain-1-x/master-key.aes';
  const error = domainError('x', `Unable to read ${file}: Failed to open file “${file}”: Permission denied`);
  assert.equal(error.code, 'file-not-readable');
  assert.match(error.remedy, /chmod o\+x \/var\/lib\/libvirt\/qemu; or use -c qemu:\/\/\/embed/);
});

test('a driver that ends without a message is said to', () => {
  const { message, remedy } = domainError('x', '\n');
  assert.equal(message, 'libvirt did not start domain x: it ended without a message');
  assert.match(remedy, /log of libvirt/);
});

test('tuning that libvirtd may not do, or the kernel does not know, is no missing control group', () => {
  // The first is libvirt's whole message where libvirtd has no CAP_SYS_RESOURCE.
  for (const [message, code, remedy] of [
    [
      'internal error: Process exited prior to exec: libvirt:  error : cannot limit locked memory of process 84 to 943718400: Operation not permitted',
      'memory-limit-refused',
      /leave --memory-limit out/,
    ],
    ['blkio weight is valid only for bfq or cfq scheduler', 'block-weight-unsupported', /modprobe bfq/],
    ['Cannot set scheduler parameters for pid 7: Operation not permitted', 'cpu-scheduler-refused', /CAP_SYS_NICE/],
  ] as const) {
    const error = domainError('x', message);
    assert.equal(error.code, code);
    assert.match(error.remedy, remedy);
  }
  assert.equal(domainError('x', "unable to write to '/sys/fs/cgroup/cpu/x'").code, 'cgroups-unusable');
});

test('of a QEMU that is gone a reason is known, or none', () => {
  const gone = 'internal error: QEMU unexpectedly closed the monitor';
  const warned = `${gone} (vm='x'): 2026-01-01T00:00:00.000000Z qemu-system-x86_64: warning: no hardware clock`;
  const moved = "Unable to write to '/sys/fs/cgroup/cpu/machine/x/tasks': No such process";
  for (const text of [gone, warned, moved, 'cannot set CPU affinity on process 12: No such process'])
    assert.ok(isQemuGone(domainError('x', text)), text);
  const refused = `${gone}: 2026-01-01T00:00:00.000000Z qemu-system-x86_64: `;
  for (const [reason, code] of [
    ['cannot set up guest memory ram: Cannot allocate memory', 'no-memory'],
    ['Could not access KVM kernel module: Permission denied', 'kvm-unusable'],
    ['-drive file=/x: Could not open: No space left on device', 'disk-full'],
  ] as const) {
    const error = domainError('x', `${refused}${reason}`);
    assert.equal(error.code, code);
    assert.ok(!isQemuGone(error), code);
  }
  assert.ok(!isQemuGone(domainError('x', 'XML error: no such element')));
});

test('who has ended QEMU is the reason, but for libvirt', () => {
  const ended = (by: string) => domainError('x', `qemu-system-x86_64: terminating on signal 15 from pid 12 (${by})`);
  for (const by of ['/usr/bin/virt-qemu-run', 'libvirtd']) assert.ok(hasLibvirtEnded(ended(by)), by);
  for (const error of [ended('bash'), ended('/usr/bin/virt-qemu-run'), ended('libvirtd')])
    assert.ok(!isQemuGone(error), error.message);
  assert.ok(!hasLibvirtEnded(ended('bash')));
});

test('a directory that libvirt misses is named, whatever its name, at whichever step', () => {
  const start = 'internal error: guest failed to start: Failure in libvirt_lxc startup: ';
  for (const path of ['/a', "/Bob's disk", '/road to /x', '/No space left on device', '/a: b']) {
    for (const words of [
      `Failed to access '${path}': No such file or directory`,
      `Failed to resolve symlink at ${path}: No such file or directory`,
      `Unable to stat bind source /.oldroot${path}: Transport endpoint is not connected`,
      `Failed to bind mount directory /.oldroot${path} to /newroot${path}: Stale file handle`,
    ]) {
      const { code, message } = domainError('x', start + words);
      assert.equal(code, 'source-gone');
      assert.equal(message, `libvirt does not find ${path}, which the host had when container x was to start`);
    }
  }
  assert.equal(domainError('x', `${start}Failed to access '/a': Permission denied`).code, 'file-not-readable');
  assert.notEqual(domainError('x', "Failed to access '/a': No such file or directory").code, 'source-gone');
});
