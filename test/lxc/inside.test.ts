/** The surroundings of a command in a container. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readlinkSync, statSync } from 'node:fs';
import { homedir, release } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { EVERYWHERE, itIsAsEverywhere } from '../helpers/everywhere.js';
import { ask, askInside, assertCapabilities, CAPABILITIES } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const onLxc = ['-c', lxc.uri];
const HOME = process.env['HOME'] ?? homedir();
const BIT = { SETPCAP: 8n, NET_ADMIN: 12n, SYS_MODULE: 16n, SYS_ADMIN: 21n, SYS_TIME: 25n, MKNOD: 27n } as const;

describe('inside a container, as root', { skip: lxc.skip }, () => {
  const name = uniqueName();
  const facts = {
    ...EVERYWHERE,
    kernel: 'uname -r',
    home: 'ls -A ~; echo kept >~/x; cat ~/x; stat -c "%a %u" ~',
    remount: 'mount -o remount,bind,rw / && echo remounted',
    rootOptions: `grep ' / ' /proc/mounts | tail -n 1 | cut -d' ' -f4`,
    ptmx: 'ls -l /dev/ptmx | cut -c1-10',
    first: 'cat /proc/1/comm',
    processes: 'cat /proc/[0-9]*/comm 2>/dev/null',
    start: 'ls -d /native /newroot /.oldroot 2>/dev/null | wc -l',
    blockDevices: 'find /dev -type b | wc -l',
    channel: 'cat < /dev/tty2',
    cgroups: 'grep -c cgroup /proc/mounts',
    interrupts: 'touch /proc/irq/default_smp_affinity && echo 1 > /proc/irq/default_smp_affinity && echo written',
    kernelSettings: 'echo 1 > /proc/sys/kernel/panic && echo written',
    namespace: 'readlink /proc/self/ns/net',
  } as const;
  let found: Record<string, string> = {};
  before(async () => {
    found = await askInside(lxc, ['-n', name], facts);
  });

  itIsAsEverywhere(name, () => found);

  it('has a home of its own, since root inside is nobody on the host', (t) => {
    if ((statSync(HOME).mode & 0o001) !== 0) return t.skip('everybody may enter the home here');
    assert.equal(found['home'], 'kept\n700 0');
  });

  it('runs the kernel of the host', () => assert.equal(found['kernel'], release()));

  it('cannot make the root writable', () => {
    assert.match(found['rootOptions'] ?? '', /^ro(,|$)/);
    assert.doesNotMatch(found['remount'] ?? '', /remounted/);
  });

  it('has network interfaces of its own', () => {
    assert.notEqual(found['namespace'], readlinkSync('/proc/self/ns/net'));
  });

  it('has pseudo terminals, and no block device', () => {
    assert.equal(found['ptmx'], 'crw-rw-rw-');
    assert.equal(found['blockDevices'], '0');
  });

  it('sees its own processes only', () => {
    assert.equal(found['first'], 'init');
    // The number of processes changes all the time. The host's have other names, libvirtd and node among them.
    assert.match(found['processes'] ?? '', /^init$/m);
    assert.doesNotMatch(found['processes'] ?? '', /libvirt|virtlogd|node|qemu/);
  });

  it('sees no trace of its start', () => assert.equal(found['start'], '0'));

  it('cannot reach the channel, nor files of the host’s kernel that belong to user 0', () => {
    assert.match(found['channel'] ?? '', /Permission denied/);
    assert.equal(found['cgroups'], '0');
    assert.match(found['interrupts'] ?? '', /Permission denied/);
    assert.match(found['kernelSettings'] ?? '', /Read-only file system|Permission denied/);
  });
});

describe('inside a container, with options', { skip: lxc.skip, concurrency: 2 }, () => {
  it('-p runs as root with the capabilities that libvirt leaves to a container', async () => {
    const found = await ask(
      [...onLxc, '-p'],
      { ...CAPABILITIES, mount: 'mount -t tmpfs none /mnt && echo mounted' },
      { ...lxc.options, stderr: /is no barrier/ },
    );
    const has = (bit: bigint) => (BigInt(`0x${found.effective.split('\t')[1]}`) >> bit) & 1n;
    for (const bit of [BIT.SETPCAP, BIT.NET_ADMIN, BIT.SYS_ADMIN]) assert.equal(has(bit), 1n, found.effective);
    for (const bit of [BIT.SYS_MODULE, BIT.SYS_TIME, BIT.MKNOD]) assert.equal(has(bit), 0n, found.effective);
    assert.equal(found.mount, 'mounted');
  });

  it('-S runs as that user, with that user’s home and groups and no capability', async () => {
    const found = await askInside(lxc, ['-S', 'nobody'], {
      ...CAPABILITIES,
      ids: 'id -un; id -gn',
      names: 'echo $USER $HOME',
      tmp: 'touch /tmp/mine && stat -c %U /tmp/mine',
      shadow: 'cat /etc/shadow',
      console: 'echo x > /dev/tty1',
    });
    assertCapabilities(found, 'none');
    assert.equal(found.ids, `nobody\n${execFileSync('id', ['-gn', 'nobody'], { encoding: 'utf8' }).trim()}`);
    assert.equal(found.tmp, 'nobody');
    assert.match(found.shadow, /Permission denied/);
    assert.match(found.console, /Permission denied/);
  });

  it('-e and --cwd set variables and the directory', async () => {
    const args = ['-e', 'A=1', '-e', 'A=x=y z', '--cwd', '/usr/share', '-c', lxc.uri];
    assertRun(await runSandbox([...args, 'sh', '-c', 'echo "$A|$(pwd)"'], lxc.options), 0, 'x=y z|/usr/share\n');
  });

  it('--memory is the limit', async () => {
    const found = await askInside(lxc, ['--memory', '200'], {
      total: `sed -n 's/^MemTotal: *//p' /proc/meminfo`,
      used: `sh -c 'head -c 400000000 /dev/zero | tail -c 399999999 | wc -c'; echo; true`,
    });
    assert.equal(Number.parseInt(found.total, 10), 200 * 1024);
    assert.doesNotMatch(found.used, /399999999/);
  });

  it('LIBVIRT_SANDBOX_STRACE shows the system calls of the command, and none of the init', async () => {
    const env = { LIBVIRT_SANDBOX_STRACE: 'trace=chdir,openat' };
    const script = 'cd /usr; : </etc/hostname; id -un; exit 9';
    const args = ['-c', lxc.uri, '-S', 'nobody', '--', 'sh', '-c', script];
    const { code, out, stderr } = await runSandbox(args, { ...lxc.options, env });
    assert.deepEqual({ code, out }, { code: 9, out: 'nobody\n' });
    assert.match(stderr, /^chdir\("\/usr"\) += 0$/m);
    assert.match(stderr, /^openat\(AT_FDCWD, "\/etc\/hostname"/m);
    assert.match(stderr, /^\+\+\+ exited with 9 \+\+\+$/m);
    assert.doesNotMatch(stderr, /execve|mount/);
  });

  it('--config runs what --save-config has saved', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const saved = [
      ...['-S', 'nobody', '-e', 'A=x y', '-m', 'ram:/srv=3M', '-m', 'host-bind:/mnt=', '-i', '/mnt/group=/etc/group'],
      ...['--cwd', '/srv', '--memory', '300M'],
    ];
    const saving = [...onLxc, ...saved, '--save-config', file, '--', 'sh', '-c', 'echo "$A"; id -un; pwd'];
    assertRun(await runSandbox(saving, lxc.options), 0, '');
    assertRun(await runSandbox([...onLxc, '--config', file], lxc.options), 0, 'x y\nnobody\n/srv\n');
    const found = await askInside(lxc, ['--config', file, '-e', 'B=1'], {
      environment: 'echo $A $B',
      mounts: `awk '$2 ~ "^/(srv|mnt)$" {print $2}' /proc/mounts | sort`,
      included: 'cmp /mnt/group /etc/group && echo same',
      memory: `sed -n 's/^MemTotal: *//p' /proc/meminfo`,
    });
    assert.deepEqual(found, {
      environment: 'x y 1',
      mounts: '/mnt\n/srv',
      included: 'same',
      memory: `${300 * 1024} kB`,
    });
  });

  it('passes arguments unchanged', async () => {
    const words = ['', ' two  words ', 'new\nline', '*', '$HOME', '"', "'", 'ä€😀', '--', '-v'];
    const result = await runSandbox(['-c', lxc.uri, '--', 'printf', '[%s]', ...words], lxc.options);
    assertRun(result, 0, words.map((word) => `[${word}]`).join(''));
  });
});

describe('the root of a container', { skip: lxc.skip || unlessBusybox, concurrency: 2 }, () => {
  it('--root needs nothing in it but mount points', async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run');
    const result = await runSandbox(['-c', lxc.uri, '-r', root, 'sh', '-c', '/bin/busybox ls /; : > /x'], lxc.options);
    assert.equal(result.out, 'bin\ndev\nproc\nrun\nsys\ntmp\n');
    assert.match(result.stderr, /Read-only file system/);
  });

  it('is refused without /dev, with the reason', async (t) => {
    const root = makeRoot(t, 'proc');
    const result = await runSandbox(['-c', lxc.uri, '-r', root, 'sh', '-c', 'true'], lxc.options);
    assertFailure(result, /\/newroot\/dev/, /has the directories \/dev and \/proc/);
  });

  it("shows the host's mounts below it, read-only too", async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'data space');
    const mounted = join(root, 'data space');
    besideLxc('mount', '-t', 'tmpfs', 'none', mounted);
    try {
      besideLxc('mkdir', join(mounted, 'below'));
      besideLxc('mount', '-t', 'tmpfs', 'none', join(mounted, 'below'));
      besideLxc('touch', join(mounted, 'below/here'));
      const script = 'cd "/data space"; /bin/busybox ls below; /bin/busybox touch new; /bin/busybox touch below/new';
      const { out, stderr } = await runSandbox(['-c', lxc.uri, '-r', root, '--', 'sh', '-c', script], lxc.options);
      assert.equal(out, 'here\n');
      assert.equal(stderr.match(/Read-only file system/g)?.length, 2, stderr);
    } finally {
      besideLxc('umount', join(mounted, 'below'), mounted);
    }
  });

  it('may be a path with a symbolic link', async (t) => {
    const root = makeRoot(t, 'dev', 'proc');
    const link = `${root}-link`;
    execFileSync('ln', ['-s', root, link]);
    t.after(() => execFileSync('rm', [link]));
    mkdirSync(join(root, 'srv'));
    assertRun(await runSandbox(['-c', lxc.uri, '-r', link, 'sh', '-c', 'echo in'], lxc.options), 0, 'in\n');
  });
});
