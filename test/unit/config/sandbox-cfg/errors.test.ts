/** sandbox.cfg: invalid files are refused. */
import { test } from 'node:test';
import { parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { refuses, testUsers } from '../support.js';
import { COMPLETE, MINIMAL } from './texts.js';

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
  ['no variable name', without('key=EMPTY\n'), 'config-key-missing', '[env.0]', 'key'],
  [
    'no variable value',
    without('key=EMPTY\nvalue=\n').replace('[env.0]', '[env.0]\nkey=E'),
    'config-key-missing',
    '[env.0]',
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
  [
    'a size that libvirt-sandbox never writes',
    COMPLETE.replace('usage=2147483648', `usage=${2n ** 64n - 2n ** 31n - 1n}`),
    'config-value-invalid',
    'usage',
  ],
  ['a size of nothing', COMPLETE.replace('usage=2147483648', 'usage=0'), 'config-value-invalid', 'usage', '"0"'],
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
  ['node without CPUs', `${MINIMAL}\n[tuning.numa.0]\nnode=0\n`, 'config-key-missing', 'cpus'],
  ['huge pages of 3 MiB', `${MINIMAL}\n[tuning]\nhugepages=3145728\n`, 'huge-pages-invalid', '"3072K"'],
  ['no limit of memory', `${MINIMAL}\n[tuning]\nmemorylimit=2G\n`, 'config-value-invalid', 'memorylimit'],
  ['unknown limit', `${MINIMAL}\n[tuning.disk.0]\ntag=x\nspeed=1\n`, 'disk-limit-invalid', '"speed"'],
];

test('invalid files', async (t) => {
  const users = await testUsers(t);
  for (const [what, text, code, ...names] of BAD_FILES) {
    await t.test(what, () =>
      refuses(() => parseSandboxCfg(text, { users, origin: 'bad.cfg' }), 'config', code, 'bad.cfg', ...names),
    );
  }
});
