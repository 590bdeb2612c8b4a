import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type ConfigOptions,
  configFromOptions,
  formatSandboxCfg,
  loadSandboxCfg,
  parseSandboxCfg,
  type SandboxConfig,
  saveSandboxCfg,
} from '../../src/config/index.js';
import { refuses, temporaryDirectory, testUsers } from './config-support.js';

/** A file with everything that libvirt-sandbox knows, in its order. */
const COMPLETE = `[api]
class=GVirSandboxConfigInteractive
version=0.8.0

[core]
name=mill
root=/srv/roots/mill
arch=x86_64
kernrelease=6.1.0-9-amd64
kernpath=/srv/kernels/vmlinuz
kmodpath=/srv/kernels/modules
shell=true
debug=true
verbose=true

[identity]
uid=2001
gid=2001
username=ada
homedir=/home/ada

[mount.0]
type=GVirSandboxConfigMountHostBind
target=/data
source=/srv/data

[mount.0.include.0]
dst=/motd
src=/etc/motd

[mount.0.include.1]
dst=/etc
src=/etc

[mount.1]
type=GVirSandboxConfigMountHostBind
target=/scratch
source=

[mount.2]
type=GVirSandboxConfigMountHostImage
target=/image
format=qcow2
source=/srv/disk.qcow2

[mount.3]
type=GVirSandboxConfigMountGuestBind
target=/opt
source=/data/opt

[mount.4]
type=GVirSandboxConfigMountRam
target=/tmp
usage=2147483648

[env.0]
key=GREETING
value=\\sgood\tday=\\\\o/\x20

[env.1]
key=EMPTY
value=

[disk.0]
type=file
source=/srv/cache.qcow2
tag=cache
format=qcow2

[disk.1]
type=block
source=/dev/sdz
tag=whole
format=raw

[network.0.address.0]
primary=10.1.2.3
broadcast=10.1.255.255
prefix=16

[network.0.address.1]
primary=fd00::2
prefix=64

[network.0.route.0]
prefix=8
gateway=10.1.0.1
target=10.0.0.0

[network.0]
dhcp=false
source=lan
mac=52:54:00:0a:0b:0c
addresses=2
routes=1

[network.1]
dhcp=true
addresses=0
routes=0

[security]
label=user_u:role_r:type_t:s0:c1,c2
dynamic=false

[interactive]
tty=true

[command]
argv.0=/bin/sh
argv.1=-c
argv.2=echo "$GREETING";\\n\techo done
`;

/** The command line that COMPLETE is of. */
const COMPLETE_OPTIONS: ConfigOptions = {
  name: 'mill',
  root: '/srv/roots/mill',
  kernver: '6.1.0-9-amd64',
  kernpath: '/srv/kernels/vmlinuz',
  kmodpath: '/srv/kernels/modules',
  shell: true,
  debug: true,
  verbose: true,
  switchto: 'ada',
  mount: [
    'host-bind:/data=/srv/data',
    'host-bind:/scratch=',
    'host-image:/image=/srv/disk.qcow2',
    'guest-bind:/opt=/data/opt',
    'ram:/tmp=2GiB',
  ],
  include: ['/data/motd=/etc/motd', '/data/etc=/etc'],
  env: ['GREETING= good\tday=\\o/ ', 'EMPTY='],
  disk: ['file:cache=/srv/cache.qcow2', 'block:whole=/dev/sdz'],
  network: [
    'source=lan,mac=52:54:00:0a:0b:0c,address=10.1.2.3/16%10.1.255.255,address=fd00::2,route=10.0.0.0/8%10.1.0.1',
    'dhcp',
  ],
  security: 'static,label=user_u:role_r:type_t:s0:c1,c2',
  tty: true,
  command: ['/bin/sh', '-c', 'echo "$GREETING";\n\techo done'],
};

const MINIMAL = `[api]
class=GVirSandboxConfigInteractive
version=0.8.0

[core]
name=sandbox
root=/
arch=x86_64
kernrelease=6.1.0-9-amd64
shell=false
debug=false
verbose=false

[identity]
uid=2003
gid=2003
username=nogroups
homedir=/home/nogroups

[security]
dynamic=true

[interactive]
tty=false

[command]
argv.0=/bin/date
`;

const onX86 = (config: SandboxConfig): SandboxConfig => ({ ...config, arch: 'x86_64' });

test('a command line gives the file of libvirt-sandbox', async (t) => {
  const users = await testUsers(t);
  const complete = onX86(await configFromOptions(COMPLETE_OPTIONS, users));
  assert.equal(await formatSandboxCfg(complete, { users, kernelRelease: 'not-this-one' }), COMPLETE);
  assert.deepEqual(await parseSandboxCfg(COMPLETE, { users }), complete);
  const minimal = onX86(await configFromOptions({ command: ['/bin/date'], switchto: 'nogroups' }, users));
  assert.equal(await formatSandboxCfg(minimal, { users, kernelRelease: '6.1.0-9-amd64' }), MINIMAL);
  assert.doesNotMatch(await formatSandboxCfg(minimal, { users }), /kernrelease/);
});

test('a file of libvirt-sandbox is saved again with the same bytes', async (t) => {
  const users = await testUsers(t);
  for (const text of [
    COMPLETE,
    MINIMAL,
    MINIMAL.replace('name=sandbox\n', 'name=sandbox\nuuid=01234567-89ab-cdef-0123-456789abcdef\n'),
    MINIMAL.replace('dynamic=true', 'label=base\ndynamic=true'),
    MINIMAL.replace('dynamic=true', 'dynamic=false'),
    MINIMAL.replace('ConfigInteractive', 'ConfigServiceGeneric').replace('[interactive]\ntty=false\n\n', ''),
    MINIMAL.replace('ConfigInteractive', 'ConfigServiceSystemd').replace(
      /\[interactive\][\s\S]*/,
      '[service]\nbootTarget=basic.target\n',
    ),
  ]) {
    assert.equal(await formatSandboxCfg(await parseSandboxCfg(text, { users }), { users }), text);
  }
});

test('services keep their class', async (t) => {
  const users = await testUsers(t);
  const generic = await parseSandboxCfg(MINIMAL.replace('ConfigInteractive', 'ConfigServiceGeneric'), { users });
  assert.deepEqual(generic.service, { type: 'generic' });
  assert.deepEqual(generic.command, ['/bin/date']);
  const systemd = await parseSandboxCfg(MINIMAL.replace('ConfigInteractive', 'ConfigServiceSystemd'), { users });
  assert.deepEqual(systemd.service, { type: 'systemd', bootTarget: 'multi-user.target' });
  assert.deepEqual(systemd.command, ['/lib/systemd/systemd', '--system', '--unit=multi-user.target']);
});

test('what libvirt-sandbox does not know has keys of its own', async (t) => {
  const users = await testUsers(t);
  const options: ConfigOptions = {
    switchto: 'nogroups',
    command: ['/bin/date'],
    mount: ['host-bind:/a=/srv,ro', 'host-image:/b=/x.img,ro'],
    disk: ['file:d=/d.img'],
    network: ['dhcp,filter=clean,filter.IP=10.0.0.9,filter.MAC='],
    security: 'inherit',
    memory: '1G',
    vcpus: '3',
    accel: 'tcg',
    boot: 'cold',
    cwd: '/srv',
    bootTimeout: '5',
    cpuShares: '100',
    cpuPin: '1,0,7',
    diskLimit: ['d:write_iops_sec=4,read_bytes_sec=3'],
    netLimit: ['0:outbound.average=2,outbound.peak=3,outbound.burst=4,inbound.average=1'],
  };
  const base = await configFromOptions(options, users);
  const config = { ...base, privileged: true, identity: { ...base.identity, groups: [5, 6] } };
  const text = await formatSandboxCfg(config, { users });
  for (const expected of [
    '\nverbose=false\ncwd=/srv\n\n[identity]\n',
    '\nhomedir=/home/nogroups\ngroups=5;6;\nprivileged=true\n\n[mount.0]\n',
    '\nsource=/srv\nreadonly=true\n\n[mount.1]\n',
    '\nsource=/x.img\nreadonly=true\n\n[disk.0]\n',
    '\n[network.0]\ndhcp=true\naddresses=0\nroutes=0\nfilter=clean\n\n[network.0.filter]\nIP=10.0.0.9\nMAC=\n',
    '\n[security]\ndynamic=false\ninherit=true\n',
    '\n[machine]\nmemory=1073741824\nvcpus=3\nacceleration=tcg\nboot=cold\nboottimeout=5000\n',
    '\n[tuning]\ncpushares=100\ncpupin=0-1,7\n\n[tuning.disk.0]\ntag=d\nread_bytes_sec=3\nwrite_iops_sec=4\n',
    '\n[tuning.network.0]\nindex=0\ninbound.average=1\noutbound.average=2\noutbound.peak=3\noutbound.burst=4\n',
  ]) {
    assert.ok(text.includes(expected), `${JSON.stringify(expected)} is not in\n${text}`);
  }
  const back = await parseSandboxCfg(text, { users });
  assert.deepEqual(back, config);
  assert.equal(await formatSandboxCfg(back, { users }), text);
});

test('a user without the groups that the host gives it has none after loading', async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions({ switchto: 'ada', command: ['x'] }, users);
  assert.doesNotMatch(await formatSandboxCfg(base, { users }), /^groups=/m);
  const config = { ...base, identity: { ...base.identity, groups: [] } };
  const text = await formatSandboxCfg(config, { users });
  assert.match(text, /^groups=$/m);
  assert.deepEqual((await parseSandboxCfg(text, { users })).identity.groups, []);
});

test('what a file may leave out', async (t) => {
  const users = await testUsers(t);
  const config = await parseSandboxCfg(
    `[api]\nclass=GVirSandboxConfigInteractive\n[network.0]\n[network.1]\ndhcp=0
[network.1.address.0]\nprimary=10.0.0.1\n[network.1.address.1]\nprimary=fd00::1\n[unknown]\nkey=\\x\n`,
    { users },
  );
  const expected = await configFromOptions({ command: ['/bin/sh'] }, users);
  assert.deepEqual({ ...config, networks: [] }, expected);
  assert.deepEqual(
    config.networks.map(({ dhcp }) => dhcp),
    [true, false],
  );
  assert.deepEqual(
    config.networks[1]?.addresses.map(({ prefix }) => prefix),
    [24, 64],
  );
});

const without = (line: string) => COMPLETE.replace(line, '');

const BAD_FILES: [string, string, string, ...string[]][] = [
  ['no class', MINIMAL.replace(/class=.*\n/, ''), 'config-class-missing', 'class'],
  ['empty', '', 'config-class-missing', 'class'],
  [
    'unknown class',
    MINIMAL.replace('Interactive', 'Graphical'),
    'config-class-unknown',
    '"GVirSandboxConfigGraphical"',
  ],
  [
    'unknown mount type',
    COMPLETE.replace('MountRam', 'MountNfs'),
    'config-type-unknown',
    '[mount.4]',
    '"GVirSandboxConfigMountNfs"',
  ],
  ['unknown disk type', COMPLETE.replace('type=block', 'type=network'), 'config-type-unknown', '[disk.1]', '"network"'],
  ['no mount type', without('type=GVirSandboxConfigMountRam\n'), 'config-key-missing', '[mount.4]', 'type'],
  ['no mount target', without('target=/data\n'), 'config-key-missing', '[mount.0]', 'target'],
  ['no mount source', without('source=/data/opt\n'), 'config-key-missing', '[mount.3]', 'source'],
  ['no mount usage', without('usage=2147483648\n'), 'config-key-missing', '[mount.4]', 'usage'],
  ['no mount format', without('format=qcow2\n'), 'config-key-missing', '[mount.2]', 'format'],
  ['no include target', without('dst=/etc\n'), 'config-key-missing', '[mount.0.include.1]', 'dst'],
  ['no include source', without('src=/etc\n'), 'config-key-missing', '[mount.0.include.1]', 'src'],
  ['no variable name', without('key=EMPTY\n'), 'config-key-missing', '[env.1]', 'key'],
  [
    'no variable value',
    without('key=EMPTY\nvalue=\n').replace('[env.1]', '[env.1]\nkey=E'),
    'config-key-missing',
    '[env.1]',
    'value',
  ],
  ['no disk tag', without('tag=whole\n'), 'config-key-missing', '[disk.1]', 'tag'],
  ['no disk source', without('source=/dev/sdz\n'), 'config-key-missing', '[disk.1]', 'source'],
  ['no disk type', without('type=block\n'), 'config-key-missing', '[disk.1]', 'type'],
  ['no disk format', without('format=raw\n'), 'config-key-missing', '[disk.1]', 'format'],
  ['no address', without('primary=fd00::2\n'), 'config-key-missing', '[network.0.address.1]', 'primary'],
  ['no gateway', without('gateway=10.1.0.1\n'), 'config-key-missing', '[network.0.route.0]', 'gateway'],
  ['half an identity', without('gid=2001\n'), 'config-key-missing', '[identity]', 'gid'],
  ['no boolean', MINIMAL.replace('shell=false', 'shell=no'), 'config-value-invalid', '[core]', 'shell', '"no"'],
  ['no uid', MINIMAL.replace('uid=2003', 'uid=-1'), 'config-value-invalid', '[identity]', 'uid', '"-1"'],
  ['uid (uid_t)-1', MINIMAL.replace('uid=2003', 'uid=4294967295'), 'config-value-invalid', '"4294967295"'],
  ['no group id', MINIMAL.replace('uid=', 'groups=1;x;\nuid='), 'config-value-invalid', 'groups', '"1;x;"'],
  ['no size', COMPLETE.replace('usage=2147483648', 'usage=2G'), 'config-value-invalid', '[mount.4]', 'usage', '"2G"'],
  ['too little memory', `${MINIMAL}\n[machine]\nmemory=1\n`, 'config-value-invalid', '[machine]', 'memory'],
  ['too many CPUs', `${MINIMAL}\n[machine]\nvcpus=256\n`, 'config-value-invalid', '[machine]', 'vcpus'],
  ['no acceleration', `${MINIMAL}\n[machine]\nacceleration=x\n`, 'acceleration-unknown', '[machine]', '"x"'],
  ['no boot mode', `${MINIMAL}\n[machine]\nboot=x\n`, 'boot-mode-unknown', '[machine]', '"x"'],
  ['a mount left out', COMPLETE.replace('[mount.3]', '[mount.9]'), 'config-number-gap', 'mount.9', 'mount.3'],
  [
    'an include left out',
    without('[mount.0.include.0]\ndst=/motd\nsrc=/etc/motd\n'),
    'config-number-gap',
    'mount.0.include.1',
  ],
  ['an argument left out', without('argv.1=-c\n'), 'config-number-gap', 'argv.2', 'argv.1'],
  [
    'an interface left out',
    COMPLETE.replace('[network.0]\n', '[network.2]\n'),
    'config-number-gap',
    'network.0.address.0',
  ],
  [
    'too few addresses',
    COMPLETE.replace('addresses=2', 'addresses=3'),
    'config-count-wrong',
    '[network.0]',
    'addresses=3',
    '2',
  ],
  ['too many routes', COMPLETE.replace('routes=1', 'routes=0'), 'config-count-wrong', '[network.0]', 'routes=0', '1'],
  [
    'no IP address',
    COMPLETE.replace('fd00::2', 'fd00::x'),
    'network-address-invalid',
    '[network.0.address.1]',
    '"fd00::x"',
  ],
  ['no prefix', COMPLETE.replace('prefix=16', 'prefix=33'), 'network-prefix-invalid', '[network.0.address.0]', '"33"'],
  ['no MAC', COMPLETE.replace('mac=52', 'mac=x'), 'network-mac-invalid', '[network.0]', '"x:54'],
  ['no key file', `${MINIMAL}nonsense\n`, 'key-file-invalid', '"nonsense"'],
  ['bad escape', MINIMAL.replace('/bin/date', '/bin/\\date'), 'key-file-value-invalid', 'argv.0', '[command]'],
  ['bad name', MINIMAL.replace('name=sandbox', 'name=a/b'), 'name-invalid', '"a/b"'],
  ['bad uuid', MINIMAL.replace('root=', 'uuid=1-2\nroot='), 'uuid-invalid', '"1-2"'],
  [
    'a kernel version with a path',
    MINIMAL.replace('kernrelease=', 'kernrelease=../'),
    'kernel-version-invalid',
    '"../6.1.0',
  ],
  ['relative root', MINIMAL.replace('root=/', 'root=here'), 'root-not-absolute', '"here"'],
  ['relative home', MINIMAL.replace('homedir=/', 'homedir='), 'home-not-absolute', '"home/nogroups"'],
  ['disk tags twice', COMPLETE.replace('tag=whole', 'tag=cache'), 'disk-tag-duplicate', '"cache"'],
  ['a variable named with =', COMPLETE.replace('key=EMPTY', 'key=A=B'), 'env-key-invalid', '"A=B"'],
  ['limit of no disk', `${MINIMAL}\n[tuning.disk.0]\ntag=x\ntotal_iops_sec=1\n`, 'disk-limit-unknown-tag', '"x"'],
  ['unknown limit', `${MINIMAL}\n[tuning.disk.0]\ntag=x\nspeed=1\n`, 'disk-limit-invalid', '"speed"'],
];

test('bad files', async (t) => {
  const users = await testUsers(t);
  for (const [what, text, code, ...names] of BAD_FILES) {
    await t.test(what, () =>
      refuses(() => parseSandboxCfg(text, { users, origin: 'bad.cfg' }), 'config', code, 'bad.cfg', ...names),
    );
  }
});

test('a file is replaced as a whole and private', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'sandbox.cfg');
  const config = await parseSandboxCfg(COMPLETE, { users });
  await saveSandboxCfg(path, await parseSandboxCfg(MINIMAL, { users }), { users });
  await saveSandboxCfg(path, config, { users });
  assert.equal(await readFile(path, 'utf8'), COMPLETE);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(directory), ['sandbox.cfg']);
  assert.deepEqual(await loadSandboxCfg(path, { users }), config);
});

test('a symbolic link is written through', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  await symlink('real.cfg', join(directory, 'link.cfg'));
  await saveSandboxCfg(join(directory, 'link.cfg'), await parseSandboxCfg(MINIMAL, { users }), { users });
  assert.equal(await readFile(join(directory, 'real.cfg'), 'utf8'), MINIMAL);
  assert.deepEqual((await readdir(directory)).sort(), ['link.cfg', 'real.cfg']);
});

test('a file that cannot be written or read is named', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  const config = await parseSandboxCfg(MINIMAL, { users });
  const below = join(directory, 'absent', 'x.cfg');
  await refuses(() => saveSandboxCfg(below, config, { users }), 'config', 'config-not-writable', below);
  await mkdir(join(directory, 'folder'));
  const folder = join(directory, 'folder');
  await refuses(() => saveSandboxCfg(folder, config, { users }), 'config', 'config-not-writable', folder);
  await refuses(() => loadSandboxCfg(below, { users }), 'config', 'config-not-readable', below);
  await refuses(() => loadSandboxCfg(folder, { users }), 'config', 'config-not-readable', folder);
  const binary = join(directory, 'binary.cfg');
  await writeFile(binary, Buffer.from([0x5b, 0xff, 0x5d]));
  await refuses(() => loadSandboxCfg(binary, { users }), 'config', 'config-not-utf8', binary);
});
