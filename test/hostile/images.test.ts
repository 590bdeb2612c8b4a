/**
 * Promise: an OCI image reaches nothing but its own sandbox, and not the init in it, whatever its file system and its
 * config have. The attackers are images whose root has the capabilities that images get. The victims: the disk that
 * keeps the overlay, the kernel and process 1 of the guest, a directory of the host, and the terminal of the caller.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl, endDetached, said, startDetached } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { busyboxImage, layoutWith, link, unlessImages } from '../helpers/oci/busybox.js';
import { imageIn, sendError, startRegistry } from '../helpers/oci/registry.js';
import type { TarEntry } from '../helpers/oci/tar.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, type RunOptions, runSandbox } from '../helpers/run.js';

const TOOLS = unlessImages() || unlessProgram('qemu-img', 'mke2fs');
/** Not in /tmp, which ordinary users have of their own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-oci-');
after(() => rmSync(ground, { recursive: true, force: true }));
before(() => chmodSync(ground, 0o755));

/** The value of --root for an image with that config and those entries beside busybox. */
function imageWith(config: object = {}, entries: readonly TarEntry[] = []): string {
  const directory = mkdtempSync(join(ground, 'image-'));
  chmodSync(directory, 0o755);
  return layoutWith(directory, busyboxImage(config, entries));
}

function node(name: string, type: '3' | '4', major: number, minor: number): TarEntry {
  return { name: `nodes/${name}`, type, major, minor, mode: 0o666 };
}

/** Block devices of virtio have the first free number for local use, which is 253 or 254. */
const NODES = [
  { name: 'nodes/', type: '5' },
  ...[252, 253, 254].flatMap((major) => [0, 16, 17].map((minor) => node(`b${major}.${minor}`, '4', major, minor))),
  node('mem', '3', 1, 1),
  node('null', '3', 1, 3),
  node('kmsg', '3', 1, 11),
] as const satisfies readonly TarEntry[];

/** What every attack on the kernel and on process 1 prints. */
const ATTACKS = {
  capabilities: 'grep -E "Cap(Inh|Prm|Bnd|Amb)" /proc/self/status',
  nodes: 'for at in /nodes/*; do head -c 1 $at >/dev/null && echo $at; done 2>&1 | grep -v "Permission denied"',
  mknod: 'mknod /tmp/disk b 254 0',
  mounts: 'mount -t tmpfs x /tmp; umount /proc/sys; umount -l /proc/kcore; mount -o remount,rw /sys; echo',
  namespaces: 'unshare -U true; unshare -m true; cat /proc/sys/user/max_user_namespaces',
  // Links of these lead to what the init has, by whoever may look at it.
  one: 'for at in exe root cwd fd/100 fd/3; do readlink /proc/1/$at; done; cat /proc/1/environ /proc/1/maps; echo',
  memory: 'dd if=/proc/1/mem bs=1 count=1 2>&1 | grep -c denied; head -c 1 /dev/mem; head -c 1 /proc/kcore | wc -c',
  // The init has no handler for it, and the kernel spares a process 1 without one.
  kill: 'kill -KILL 1; kill -SEGV 1; kill -USR1 1; echo lives',
  port: 'for at in /dev/vport*; do head -c 1 $at; echo x >$at; done',
  sysrq: 'echo h >/proc/sysrq-trigger',
  core: 'echo "|/bin/sh" >/proc/sys/kernel/core_pattern',
  helper: 'echo 1 >/proc/sys/kernel/usermodehelper/bset; cat /proc/sys/kernel/usermodehelper/bset',
  sysfs: 'echo 1 >/sys/module/printk/parameters/time',
  modules: 'echo x >/tmp/x.ko; insmod /tmp/x.ko',
  clock: 'date -s 2000-01-01 2>&1 | head -1',
  log: 'dmesg',
  // Out of a directory that is the root of a process: what is above it is the root all the same.
  root:
    'mkdir -p /tmp/jail/bin && cp /bin/busybox /tmp/jail/bin/ && cd / && chroot /tmp/jail /bin/busybox sh -c ' +
    '"cd ../../../../..; /bin/busybox ls -d init 2>&1 | /bin/busybox grep -c No"',
  network: 'ip link set lo down; ip addr add 10.9.9.9/8 dev lo',
  name: 'hostname other',
} as const;

const DENIED = /(Operation not permitted|Permission denied|Read-only file system|are you root\?)/;

function assertHeld(found: Record<keyof typeof ATTACKS, string>): void {
  // Those of podman: init/common/oci-root.ts
  const [inheritable, permitted, bounding, ambient] = found.capabilities.split('\n').map((line) => line.split('\t')[1]);
  assert.deepEqual([inheritable, ambient], ['0'.repeat(16), '0'.repeat(16)]);
  assert.deepEqual([permitted, bounding], ['00000000800405fb', '00000000800405fb']);
  assert.equal(found.nodes, '');
  for (const line of found.mounts.split('\n')) assert.match(line, DENIED);
  assert.match(found.namespaces, /^unshare: .*No space left on device\nunshare: .*Operation not permitted\n0$/);
  assert.equal(
    found.one.replaceAll(/^cat: can't open '\/proc\/1\/(environ|maps)': Permission denied$/gm, '').trim(),
    '',
  );
  assert.match(found.memory, /^1\nhead: \/dev\/mem: Operation not permitted\n0$/);
  assert.equal(found.kill, 'lives');
  assert.match(found.port, /^(.*: Device or resource busy\n?){2}$/);
  assert.match(found.helper, /Read-only file system\n0\t0$/);
  assert.equal(found.root, '1');
  for (const name of ['mknod', 'sysrq', 'core', 'sysfs', 'modules', 'clock', 'log', 'network', 'name'] as const)
    for (const line of found[name].split('\n')) assert.match(line, DENIED, name);
}

for (const way of [embedded, system])
  it(`root of an image gets no further over ${way.uri}`, { skip: way.skip || TOOLS }, async () => {
    assertHeld(await ask(['-c', way.uri, '--root', imageWith({}, NODES)], ATTACKS));
  });

describe('root of an image that an ordinary user runs', { skip: unlessOrdinaryUser() || TOOLS }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri])
    it(`gets no further over ${uri}`, async () => {
      assertHeld(await ask(['-c', uri, ...ACCEL, '--root', imageWith({}, NODES)], ATTACKS, user.options));
    });

  it('does not get at the disk that keeps the overlay', () =>
    assertDiskIsClosed('qemu:///session', user.uid, user.options));
});

/** Ways to the disk that keeps the overlay, for whoever may open anything and change every mode. */
const AT_DISK = {
  open: 'chmod 666 /dev/vd*; chown 0:0 /dev/vd*; for at in /dev/vdb*; do head -c 1 $at | wc -c; echo x >$at; done',
  // Nothing is below what is mounted over it.
  below:
    'for at in /dev/vdb*; do umount $at; mv $at /dev/x; rm $at; ln $at /dev/x; echo; done 2>&1 | grep -c "^$"; ls /dev/x',
  nodes: ATTACKS.nodes,
  mknod: ATTACKS.mknod,
  super: 'dd if=/dev/vdb bs=1 skip=1080 count=2 2>/dev/null | hexdump -C',
  whole: 'ls /sys/block/vdb | grep vdb',
  write: 'echo kept >/made && sync && cat /made',
} as const;

async function assertDiskIsClosed(uri: string, owner: number, options: RunOptions = {}): Promise<void> {
  const directory = mkdtempSync(join(ground, 'kept-'));
  chownSync(directory, owner, owner);
  const on = ['-c', uri, ...ACCEL, '--root', imageWith({}, NODES), `--overlay=${join(directory, 'kept.qcow2')}`];
  // With all capabilities it may write a partition table where ext4 has nothing.
  const fdisk =
    'printf "o\\nn\\np\\n1\\n2048\\n\\nw\\n" | fdisk /dev/vdb >/dev/null 2>&1; sync; head -c 512 /dev/vdb | hexdump -C | grep -c "55 aa"';
  assert.notEqual((await ask([...on, '-p'], { fdisk }, options)).fdisk, '0');
  const found = await ask(on, AT_DISK, options);
  assert.equal(found.whole, 'vdb1');
  // The disk, and the partition: each is /dev/null.
  assert.equal(found.open.replaceAll(/^ch(mod|own): .*$/gm, '').trim(), '0\n0');
  assert.match(found.below, /^2\nls: \/dev\/x: No such file or directory$/);
  assert.equal(found.nodes, '');
  assert.match(found.mknod, DENIED);
  assert.equal(found.super, '');
  assert.equal(found.write, 'kept');
}

for (const way of [embedded, system])
  it(
    `root of an image does not get at the disk that keeps the overlay, over ${way.uri}`,
    {
      skip: way.skip || TOOLS,
    },
    () => assertDiskIsClosed(way.uri, 0),
  );

describe('names of an image', { skip: embedded.skip || TOOLS }, () => {
  const on = ['-c', embedded.uri, '-N', 'dhcp'];

  it('lead files of the sandbox and its working directory nowhere else', async () => {
    const share = mkdtempSync(join(ground, 'share-'));
    const root = imageWith({ WorkingDir: '/out/../out/deep' }, [
      link('etc/hosts', '/dev/vda'),
      link('etc/hostname', '/mnt/made'),
      link('etc/resolv.conf', '/proc/1/root/mnt/also'),
      link('out', '../../../../../../proc/self/root/tmp'),
      link('tmp', 'etc'),
    ]);
    const facts = {
      where: 'pwd; ls -d /etc/deep',
      hosts: 'cat /etc/hosts | head -1',
      core: 'cat /proc/sys/kernel/core_pattern',
      disk: 'stat -c %F /nodes /dev/vda 2>/dev/null',
    };
    const found = await ask([...on, '--root', root, '-m', `host-bind:/mnt=${share}`], facts, {
      stderr: /^(virt-sandbox: warning: .*\n)*$/,
    });
    assert.match(found.where, /deep$/);
    assert.match(found.hosts, /^127\.0\.0\.1\tlocalhost$/);
    const away = imageWith({ WorkingDir: '/out/made' }, [link('out', '/mnt')]);
    const result = await runSandbox([...on, '--root', away, '-m', `host-bind:/mnt=${share}`, '--', 'true']);
    assertFailure(result, /the working directory \/out\/made cannot be entered inside/);
    assert.deepEqual(readdirSync(share), []);
  });

  it('that take the places of /proc, /sys and /dev end the start', async () => {
    for (const [entry, step] of [
      [link('proc', '/'), 'confine'],
      [link('proc', '/sys'), 'confine'],
      [link('dev', '/etc'), 'root'],
      [{ name: 'proc', data: 'x' }, 'system'],
    ] as const) {
      const refused = await runSandbox([...on, '--root', imageWith({}, [entry]), '--', 'true']);
      assertFailure(refused, new RegExp(` init: step ${step} failed: .*; .*/dev, /proc and /sys`));
    }
  });
});

describe('what an image says', { skip: embedded.skip || TOOLS }, () => {
  it('reaches its command, and neither the init nor a shell beside it', async (t) => {
    const name = uniqueName();
    const trap = '#!/bin/sh\necho trapped >/trapped\n';
    const root = imageWith(
      {
        Env: ['PATH=/evil:/bin', 'LD_PRELOAD=/evil/lib.so', 'ENV=/evil/sh', 'BASH_ENV=/evil/sh', 'IFS=/'],
        Cmd: ['sleep', '1000'],
      },
      [
        { name: 'evil/', type: '5' },
        ...['sh', 'mount', 'tar', 'cat'].map((name) => ({ name: `evil/${name}`, data: trap, mode: 0o755 })),
        { name: 'evil/lib.so', data: 'x', mode: 0o755 },
      ],
    );
    await startDetached(embedded.uri, { name, options: ['--shell', '--root', root] });
    t.after(() => endDetached(name));
    const environment = await said(['exec', name, '/bin/cat', '/proc/1/environ']).catch(() => '');
    assert.equal(environment, '');
    const beside = await runSandbox(['--attach', name, '--', '/bin/env']);
    assert.match(beside.out, /^PATH=\/usr\//m);
    assert.doesNotMatch(beside.out, /evil/);
    const copied = await ctl(['cp', '/etc/hostname', `${name}:/copied`]);
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal(await said(['exec', name, '/bin/ls', '/trapped']).catch(() => 'none'), 'none');
  });

  it('writes nothing to a terminal by its names', async () => {
    const control = '\u001b]0;evil\u0007\u001b[31m\r\n';
    for (const [root, pattern] of [
      [imageWith({ User: `nobody${control}` }), / image: .* has no user 'nobody/],
      [imageWith({ Cmd: [`/bin/${control}`] }), / application: .*not found/],
      [imageWith({ Cmd: ['true'], WorkingDir: `/bin/sh/${control}` }), / init: the working directory/],
      [imageWith({ Cmd: ['true'], StopSignal: control }), / image: /],
      [imageWith({ Cmd: ['true'], ExposedPorts: { [control]: {} } }), / image: /],
      [imageWith({}, [{ name: `etc/${control}/../x` }]), / image: /],
    ] as const) {
      const refused = await runSandbox(['-c', embedded.uri, '--publish-all', '--root', root]);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, pattern);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
      assert.doesNotMatch(refused.stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      assert.equal(refused.stderr.split('\n').length, 2, refused.stderr);
    }
  });
});

it('a registry writes nothing to a terminal, and not for ever', { skip: embedded.skip || TOOLS }, async (context) => {
  const registry = await startRegistry(context);
  const message = `\u001b]0;evil\u0007\r\n${'long '.repeat(100_000)}`;
  registry.hook((_request, response) => {
    sendError(response, 403, message.slice(0, 20), message);
    return true;
  });
  const refused = await runSandbox(['-c', embedded.uri, '--root', `docker://${imageIn(registry, 'v1')}`, '--', 'true']);
  const line = assertFailure(refused, / image: /);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
  assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
  assert.ok(line.length < 4096, `${line.length}`);
});

describe('an image that is too much', { skip: embedded.skip || TOOLS }, () => {
  const flood = (count: number, entry: (at: number) => TarEntry) => Array.from({ length: count }, (_, at) => entry(at));

  for (const [what, entries] of [
    ['of devices', () => flood(5000, (at) => node(`d${at}`, '3', 1, 3))],
    ['below each other', () => flood(40_000, (at) => ({ name: `${at}/${'a/'.repeat(900)}x` }))],
  ] as const)
    it(`is refused: ${what}`, async () => {
      mkdirSync(join(ground, 'cache'), { recursive: true });
      const env = { XDG_CACHE_HOME: join(ground, 'cache') };
      const refused = await runSandbox(['-c', embedded.uri, '--root', imageWith({}, entries()), '--', 'true'], { env });
      assertFailure(refused, / image: .*/);
      assert.deepEqual(readdirSync(join(ground, 'cache/virt-sandbox/oci/roots')), ['.leases']);
    });

  it('may have as many names in one directory as it likes', async () => {
    const entries = flood(100_100, (at) => ({ name: `many/f${at.toString(36)}` }));
    const words = ['--root', imageWith({}, entries), '--', 'sh', '-c', 'ls /many | wc -l'];
    const env = { XDG_CACHE_HOME: join(ground, 'cache') };
    assert.equal((await runSandbox(['-c', embedded.uri, ...ACCEL, ...words], { env })).out, '100100\n');
  });
});
