/** Options become a sandbox's configuration: defaults, every option, ranges, and errors. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { machine } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { defaultConfig } from '../../../src/config/defaults.js';
import { callerIdentity } from '../../../src/config/identity.js';
import { type ConfigOptions, configFromOptions } from '../../../src/config/options.js';
import { MIB } from '../../../src/config/parsers/size.js';
import { SandboxError } from '../../../src/util/errors.js';
import { refuses, temporaryDirectory, testUsers } from './support.js';

const command = ['/bin/date'];

test('a command alone gives every default', async (t) => {
  const config = await configFromOptions({ command }, await testUsers(t));
  assert.deepEqual(config, { ...defaultConfig(config.identity), command });
  assert.equal(config.name, undefined);
  assert.deepEqual(config.root, { type: 'directory', path: '/' });
  assert.equal(config.arch, machine());
  assert.equal(config.memory, 512 * MIB);
  assert.equal(config.vcpus, 1);
  assert.equal(config.acceleration, 'auto');
  assert.equal(config.boot, 'auto');
  assert.equal(config.bootTimeout, 60_000);
  assert.deepEqual(config.security, { mode: 'dynamic', label: undefined });
  assert.equal(config.identity.uid, process.getuid?.());
});

test('every option is applied', async (t) => {
  const includefile = join(await temporaryDirectory(t), 'includes');
  await writeFile(includefile, '/data/b\n');
  const config = await configFromOptions(
    {
      name: 'box',
      root: '/srv/root',
      mount: ['ram:/data=1M', 'host-bind:/data/sub=/srv', 'host-bind:/=/srv/root2'],
      include: ['/data/sub/a=/etc/motd', '/data/a'],
      includefile,
      disk: ['file:one=/srv/1.img', 'block:two=/dev/sdz'],
      env: ['A=1', 'B=2', 'A=3'],
      network: ['dhcp', 'address=10.0.0.2'],
      security: 'static,label=u:r:t:s0',
      switchto: 'ada',
      shell: true,
      debug: true,
      verbose: true,
      kernver: '6.1.0-test',
      kernpath: 'vmlinuz',
      kmodpath: '/srv/modules',
      memory: '1G',
      vcpus: '2',
      accel: 'tcg',
      cwd: '/data',
      cpuShares: '512',
      cpuPin: '0-1',
      cpuQuota: '20000',
      cpuPeriod: '50000',
      cpuScheduler: 'rr:7',
      numa: ['1:cpus=1,memory=256M', '0:cpus=0,host=3'],
      numaNodes: '0,2-3,mode=preferred',
      memoryLimit: '2G',
      memorySoftLimit: '1500',
      memorySwapLimit: '3G',
      hugePages: '2M',
      blockWeight: '500',
      ioThreads: '2',
      diskLimit: ['two:total_iops_sec=9'],
      netLimit: ['1:inbound.average=8'],
      bootTimeout: '1.5',
      tty: true,
      command: ['sh', '-c', ''],
    },
    await testUsers(t),
  );
  assert.equal(config.name, 'box');
  assert.deepEqual(config.root, { type: 'directory', path: '/srv/root' });
  assert.deepEqual(
    config.mounts.map(({ type, target, includes }) => [type, target, includes.map((include) => include.target)]),
    [
      // As libvirt-sandbox writes them.
      ['ram', '/data', ['/data/a', '/data/sub/a', '/data/b']],
      ['host-bind', '/data/sub', []],
      ['host-bind', '/', []],
    ],
  );
  assert.deepEqual(
    config.disks.map(({ tag }) => tag),
    ['one', 'two'],
  );
  assert.deepEqual(
    config.environment.map(({ key, value }) => key + value),
    ['B2', 'A3'],
  );
  assert.deepEqual(
    config.networks.map(({ dhcp }) => dhcp),
    [true, false],
  );
  assert.deepEqual(config.security, { mode: 'static', label: 'u:r:t:s0' });
  assert.equal(config.identity.username, 'ada');
  assert.deepEqual([config.shell, config.debug, config.verbose, config.tty], [true, true, true, true]);
  assert.deepEqual(config.kernel, { version: '6.1.0-test', path: resolve('vmlinuz'), modulesPath: '/srv/modules' });
  assert.equal(config.memory, 1024 * MIB);
  assert.equal(config.vcpus, 2);
  assert.equal(config.acceleration, 'tcg');
  assert.equal(config.cwd, '/data');
  assert.equal(config.bootTimeout, 1500);
  assert.deepEqual(config.tuning, {
    cpuShares: 512,
    cpuPin: [0, 1],
    cpuQuota: 20_000,
    cpuPeriod: 50_000,
    cpuScheduler: { policy: 'rr', priority: 7 },
    numa: [
      { node: 1, cpus: [1], memory: 256 * MIB, hostNodes: undefined },
      { node: 0, cpus: [0], memory: undefined, hostNodes: [3] },
    ],
    numaNodes: { nodes: [0, 2, 3], mode: 'preferred' },
    memoryLimit: 2048 * MIB,
    memorySoftLimit: 1500 * MIB,
    memorySwapLimit: 3072 * MIB,
    hugePages: 2 * MIB,
    blockWeight: 500,
    ioThreads: 2,
    diskLimits: [{ tag: 'two', limits: { total_iops_sec: 9 } }],
    networkLimits: [{ index: 1, inbound: { average: 8, peak: undefined, burst: undefined }, outbound: undefined }],
  });
  assert.deepEqual(config.command, ['sh', '-c', '']);
});

test('--privileged runs as root', async (t) => {
  const config = await configFromOptions({ privileged: true, command }, await testUsers(t));
  assert.equal(config.privileged, true);
  const { savedHome, ...identity } = config.identity;
  assert.deepEqual(identity, { uid: 0, gid: 0, username: 'root', home: '/root', groups: [] });
  // The test may run as another user than root.
  if (savedHome !== undefined) assert.equal(savedHome, (await callerIdentity()).home);
});

test('variables come in the order of libvirt-sandbox, each once', async (t) => {
  const users = await testUsers(t);
  const env = ['PATH=/bin', 'TZ=UTC', 'HOME=/', 'LANG=C', 'TZ=CET'];
  const config = await configFromOptions({ command, env }, users);
  // GLib's order.
  const listed = ['LANG=C', 'HOME=/', 'PATH=/bin', 'TZ=CET'];
  assert.deepEqual(
    config.environment.map(({ key, value }) => `${key}=${value}`),
    listed,
  );
  const more = await configFromOptions({ env: ['B=1', 'A=2', 'TZ=x'] }, users, config);
  assert.deepEqual(
    more.environment.map(({ key, value }) => `${key}=${value}`),
    [...listed, 'B=1', 'A=2', 'TZ=x'],
  );
});

const BAD_ARGUMENTS: [ConfigOptions, string, string][] = [
  [{ privileged: true, switchto: 'ada' }, 'privileged-with-switchto', '"ada"'],
  [{ root: '' }, 'path-empty', '--root'],
  [{ kernpath: '' }, 'path-empty', '--kernpath'],
  [{ kmodpath: '' }, 'path-empty', '--kmodpath'],
  [{ memory: '1T' }, 'size-invalid', '"1T"'],
  [{ vcpus: '0' }, 'number-invalid', '--vcpus'],
  [{ vcpus: '256' }, 'number-invalid', '"256"'],
  [{ accel: 'fast' }, 'acceleration-unknown', '"fast"'],
  [{ boot: 'hot' }, 'boot-mode-unknown', '"hot"'],
  [{ bootTimeout: '0' }, 'duration-invalid', '--boot-timeout'],
  [{ cpuShares: '1' }, 'number-invalid', '--cpu-shares'],
  [{ cpuPin: 'x' }, 'cpu-pin-invalid', '"x"'],
  [{ cpuQuota: '999' }, 'number-invalid', '--cpu-quota'],
  [{ cpuQuota: '1000', cpuPeriod: '1000001' }, 'number-invalid', '--cpu-period'],
  [{ cpuScheduler: 'fair' }, 'cpu-scheduler-invalid', '"fair"'],
  [{ numa: ['0'] }, 'numa-invalid', '--numa "0"'],
  [{ numaNodes: 'x' }, 'numa-nodes-invalid', '"x"'],
  [{ memoryLimit: 'much' }, 'size-invalid', '--memory-limit'],
  [{ memorySoftLimit: '0' }, 'size-zero', '--memory-soft-limit'],
  [{ memorySwapLimit: '1T' }, 'size-invalid', '--memory-swap-limit'],
  [{ hugePages: '3M' }, 'huge-pages-invalid', '"3M"'],
  [{ blockWeight: '99' }, 'number-invalid', '--block-weight'],
  [{ ioThreads: '65' }, 'number-invalid', '--io-threads'],
  [{ mount: ['nfs:/a=/b'] }, 'mount-type-unknown', '"nfs"'],
  [{ disk: ['file:a'] }, 'disk-source-missing', 'file:a'],
  [{ env: ['NOT SET'] }, 'env-value-missing', '"NOT SET"'],
  [{ network: [''] }, 'network-option-unknown', '""'],
  [{ security: 'x' }, 'security-mode-unknown', '"x"'],
  [{ include: ['/a'] }, 'include-not-covered', '"/a"'],
  [{ includefile: '/nonexistent/file' }, 'include-file-unreadable', '/nonexistent/file'],
];

const DISK = { disk: ['file:a=/x.img'] };

const BAD_SANDBOXES: [ConfigOptions, string, string][] = [
  [{ command: [] }, 'no-command', 'command'],
  [{ command: undefined }, 'no-command', 'command'],
  [{ command: [''] }, 'no-command', 'command'],
  [{ switchto: 'eve' }, 'user-unknown', '"eve"'],
  [{ name: '' }, 'name-invalid', '""'],
  [{ name: ' ' }, 'name-invalid', '" "'],
  [{ name: '.' }, 'name-invalid', '"."'],
  [{ name: '..' }, 'name-invalid', '".."'],
  [{ name: '.lock' }, 'name-invalid', '".lock"'],
  [{ name: 'a/b' }, 'name-invalid', '"a/b"'],
  [{ name: 'a\nb' }, 'name-invalid', '"a\\nb"'],
  [{ name: 'a\u007fb' }, 'name-invalid', 'b"'],
  [{ name: 'x'.repeat(201) }, 'name-too-long', 'xxx'],
  [{ name: 'ä'.repeat(101) }, 'name-too-long', 'äää'],
  [{ memory: '31' }, 'memory-out-of-range', String(31 * MIB)],
  [{ memory: '1048577G' }, 'memory-out-of-range', String(1_048_577 * 1024 * MIB)],
  [{ kernver: '' }, 'kernel-version-invalid', '""'],
  [{ kernver: '../x' }, 'kernel-version-invalid', '"../x"'],
  [{ kernver: '6.1/x' }, 'kernel-version-invalid', '"6.1/x"'],
  [{ name: 'a\u001fb' }, 'name-invalid', '"a\\u001fb"'],
  [{ cwd: 'data' }, 'cwd-not-absolute', '"data"'],
  [{ cwd: '' }, 'cwd-not-absolute', '""'],
  [{ mount: ['ram:data=1M'] }, 'mount-target-not-absolute', '"data"'],
  [{ mount: ['ram:=1M'] }, 'mount-target-not-absolute', '""'],
  [{ mount: ['ram:/=1M', 'host-bind://=/x'] }, 'mount-root-duplicate', '"/"'],
  [{ mount: ['guest-bind:/=/srv'] }, 'mount-root-bind', '"/"'],
  [{ disk: ['file:a=/x.img', 'block:a=/dev/sdz'] }, 'disk-tag-duplicate', '"a"'],
  [{ disk: ['file:a=/x.img', 'file:b=/x.img'] }, 'image-twice', '"/x.img"'],
  [{ disk: ['file:a=/x.img,ro', 'file:b=/./x.img'] }, 'image-twice', '"/x.img"'],
  [{ ...DISK, mount: ['host-image:/mnt=/x.img,ro'] }, 'image-twice', '"/x.img"'],
  [{ mount: ['host-image:/mnt=/x.img', 'host-image:/srv=/x.img'] }, 'image-twice', '"/x.img"'],
  [{ disk: ['file:a/b=/x.img'] }, 'disk-tag-invalid', '"a/b"'],
  [{ disk: ['file:..=/x.img'] }, 'disk-tag-invalid', '".."'],
  [{ disk: ['file:a\tb=/x.img'] }, 'disk-tag-invalid', '"a\\tb"'],
  [{ ...DISK, diskLimit: ['b:total_iops_sec=1'] }, 'disk-limit-unknown-tag', '"b"'],
  [{ ...DISK, diskLimit: ['a:total_bytes_sec=1', 'a:write_bytes_sec=1'] }, 'disk-limit-conflict', '"a"'],
  [{ ...DISK, diskLimit: ['a:read_bytes_sec_max=1'] }, 'disk-limit-peak', 'read_bytes_sec_max=1 and no read_bytes_sec'],
  [{ ...DISK, diskLimit: ['a:total_iops_sec=3,total_iops_sec_max=2'] }, 'disk-limit-peak', 'and total_iops_sec=3'],
  [{ ...DISK, diskLimit: ['a:write_iops_sec=3', 'a:write_iops_sec_max=2'] }, 'disk-limit-peak', 'write_iops_sec_max=2'],
  [{ network: ['dhcp'], netLimit: ['1:inbound.average=1'] }, 'net-limit-unknown-interface', '1'],
  [{ command: ['a\0b'] }, 'nul-character', 'a\\u0000b'],
  [{ env: ['A=\0'] }, 'nul-character', '"\\u0000"'],
  [{ command: ['a', 'b'.repeat(131_072)] }, 'argument-too-long', '"bbbbbbbbbbbbbbbbbbbb…"'],
  [{ env: [`A=${'b'.repeat(131_070)}`] }, 'argument-too-long', '131072 bytes, and Linux takes at most 131071'],
  [{ command: Array<string>(20).fill('b'.repeat(131_071)) }, 'arguments-too-long', '2621600 bytes'],
  [{ mount: ['host-bind:/a=/x\0'] }, 'nul-character', '/x\\u0000'],
];

test('bad options', async (t) => {
  const users = await testUsers(t);
  for (const [stage, table] of [
    ['arguments', BAD_ARGUMENTS],
    ['config', BAD_SANDBOXES],
  ] as const) {
    for (const [options, code, name] of table) {
      await t.test(JSON.stringify(options), () =>
        refuses(() => configFromOptions({ command, ...options }, users), stage, code, name),
      );
    }
  }
});

test('the largest and longest allowed values', async (t) => {
  const users = await testUsers(t);
  const name = 'x'.repeat(200);
  const config = await configFromOptions({ command, name, memory: '32', vcpus: '255' }, users);
  assert.deepEqual([config.name, config.memory, config.vcpus], [name, 32 * MIB, 255]);
  const twice = { disk: ['file:a=/x.img,ro', 'file:b=/x.img,ro'], mount: ['host-image:/mnt=/x.img,ro'] };
  assert.equal((await configFromOptions({ command, ...twice }, users)).disks.length, 2);
  const diskLimit = ['a:write_iops_sec_max=3', 'a:write_iops_sec=3', 'b:read_bytes_sec=2,read_bytes_sec_max=9'];
  assert.equal((await configFromOptions({ command, ...twice, diskLimit }, users)).tuning.diskLimits.length, 3);
  // Only the root is single: elsewhere a mount may cover another.
  assert.equal((await configFromOptions({ command, mount: ['ram:/a=1M', 'ram:/a=2M'] }, users)).mounts.length, 2);
});

test('every failure exits with 125', async (t) => {
  await assert.rejects(
    configFromOptions({ command, memory: 'x' }, await testUsers(t)),
    (error) => error instanceof SandboxError && error.exitCode === 125,
  );
});
