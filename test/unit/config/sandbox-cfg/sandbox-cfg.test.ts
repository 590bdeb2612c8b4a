/** sandbox.cfg: the file that a command line gives, and the file after loading and saving. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { testUsers } from '../support.js';
import { COMPLETE, COMPLETE_OPTIONS, MINIMAL } from './texts.js';

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

test('a file of libvirt-sandbox is saved with the same bytes', async (t) => {
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
  assert.deepEqual(systemd.service, { type: 'systemd', bootTarget: 'multi-user.target', units: [] });
  assert.deepEqual(systemd.command, ['/lib/systemd/systemd', '--system', '--unit=multi-user.target']);
});

test('options that libvirt-sandbox does not know have keys of their own', async (t) => {
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
    cpuQuota: '2000',
    cpuPeriod: '4000',
    cpuScheduler: 'fifo:9',
    numa: ['1:cpus=1', '0:cpus=2,0,memory=24M,host=1,0'],
    numaNodes: '0,1,mode=interleave',
    memoryLimit: '2G',
    memorySoftLimit: '1G',
    memorySwapLimit: '3G',
    hugePages: '2M',
    blockWeight: '150',
    ioThreads: '4',
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
    '\n[tuning]\ncpushares=100\ncpupin=0-1,7\ncpuquota=2000\ncpuperiod=4000\ncpuscheduler=fifo:9\n',
    '\nnumanodes=0-1,mode=interleave\nmemorylimit=2147483648\nmemorysoftlimit=1073741824\n',
    '\nmemoryswaplimit=3221225472\nhugepages=2097152\nblockweight=150\niothreads=4\n\n[tuning.numa.0]\n',
    '\n[tuning.numa.0]\nnode=1\ncpus=1\n\n[tuning.numa.1]\nnode=0\ncpus=0,2\nmemory=25165824\nhostnodes=0-1\n',
    '\n[tuning.disk.0]\ntag=d\nread_bytes_sec=3\nwrite_iops_sec=4\n',
    '\n[tuning.network.0]\nindex=0\ninbound.average=1\noutbound.average=2\noutbound.peak=3\noutbound.burst=4\n',
  ]) {
    assert.ok(text.includes(expected), `${JSON.stringify(expected)} is not in\n${text}`);
  }
  const back = await parseSandboxCfg(text, { users });
  assert.deepEqual(back, config);
  assert.equal(await formatSandboxCfg(back, { users }), text);
});

/** MINIMAL of root with the home directory `home`, and with more lines in [identity]. */
const ofRoot = (home: string, ...lines: readonly string[]): string =>
  MINIMAL.replaceAll('=2003', '=0')
    .replace('username=nogroups', 'username=root')
    .replace('homedir=/home/nogroups', [`homedir=${home}`, ...lines].join('\n'));

const root = { uid: 0, gid: 0, username: 'root', home: '/root', groups: [] };

test('--privileged gives the file of libvirt-sandbox, with root and the home of the caller', async (t) => {
  const users = await testUsers(t);
  const base = onX86(await configFromOptions({ privileged: true, command: ['/bin/date'] }, users));
  for (const [savedHome, home] of [
    [undefined, '/root'],
    ['/home/ada', '/home/ada'],
  ] as const) {
    const config = { ...base, identity: savedHome === undefined ? root : { ...root, savedHome } };
    const text = await formatSandboxCfg(config, { users, kernelRelease: '6.1.0-9-amd64' });
    assert.equal(text, ofRoot(home));
    const back = await parseSandboxCfg(text, { users });
    assert.deepEqual(back, { ...config, kernel: back.kernel });
    assert.equal(await formatSandboxCfg(back, { users }), text);
  }
});

test('root without --privileged gives the same file, unless other options need keys of our own', async (t) => {
  const users = await testUsers(t);
  const save = async (options: ConfigOptions) => {
    const config = onX86(await configFromOptions({ switchto: 'root', command: ['/bin/date'], ...options }, users));
    assert.equal(config.privileged, undefined);
    return formatSandboxCfg(config, { users, kernelRelease: '6.1.0-9-amd64' });
  };
  assert.equal(await save({}), ofRoot('/root'));
  const marked = ofRoot('/root', 'privileged=false');
  const own: [ConfigOptions, (text: string) => string][] = [
    [{ vcpus: '2' }, (text) => `${text}\n[machine]\nvcpus=2\n`],
    [{ cwd: '/srv' }, (text) => text.replace('verbose=false', 'verbose=false\ncwd=/srv')],
    [{ security: 'inherit' }, (text) => text.replace('dynamic=true', 'dynamic=false\ninherit=true')],
    [{ cpuPin: '1' }, (text) => `${text}\n[tuning]\ncpupin=1\n`],
  ];
  for (const [options, change] of own) {
    const text = await save(options);
    assert.equal(text, change(marked));
    const back = await parseSandboxCfg(text, { users });
    assert.equal(back.privileged, false);
    assert.equal(await formatSandboxCfg(back, { users }), text);
  }
});

test('the file decides about root’s capabilities', async (t) => {
  const users = await testUsers(t);
  for (const [lines, privileged] of [
    [[], true],
    [['privileged=true'], true],
    [['privileged=false'], false],
  ] as const) {
    const config = await parseSandboxCfg(ofRoot('/root', ...lines), { users });
    assert.deepEqual([config.identity, config.privileged], [root, privileged]);
  }
  // libvirt-sandbox goes by the name; here the uid must be root's too.
  const named = await parseSandboxCfg(ofRoot('/root').replace('uid=0', 'uid=7'), { users });
  assert.deepEqual([named.identity.uid, named.privileged], [7, undefined]);
  const unnamed = await parseSandboxCfg(ofRoot('/root').replace('username=root', 'username=toor'), { users });
  assert.deepEqual([unnamed.identity.uid, unnamed.privileged], [0, undefined]);
  const asked = await parseSandboxCfg(MINIMAL.replace('\n\n[security]', '\nprivileged=true\n\n[security]'), { users });
  assert.equal(asked.privileged, true);
  assert.match(await formatSandboxCfg(asked, { users }), /^homedir=\/home\/nogroups\nprivileged=true$/m);
});

test("a user without the host's groups in the file has none after loading", async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions({ switchto: 'ada', command: ['x'] }, users);
  assert.doesNotMatch(await formatSandboxCfg(base, { users }), /^groups=/m);
  const config = { ...base, identity: { ...base.identity, groups: [] } };
  const text = await formatSandboxCfg(config, { users });
  assert.match(text, /^groups=$/m);
  assert.deepEqual((await parseSandboxCfg(text, { users })).identity.groups, []);
});

test('keys that may be missing', async (t) => {
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

test('sizes that 0.8 writes wrong are written right', async (t) => {
  const users = await testUsers(t);
  for (const bytes of [2n ** 31n, 2n ** 31n + 1n, 3n * 2n ** 30n, 2n ** 32n - 1n]) {
    const usage = BigInt.asUintN(64, BigInt.asIntN(32, bytes));
    const text = COMPLETE.replace('usage=2147483648', `usage=${usage}`);
    const { mounts } = await parseSandboxCfg(text, { users });
    assert.ok(text.includes(`usage=${usage}`) && mounts[4]?.type === 'ram');
    assert.equal(mounts[4].usage, Number(bytes));
  }
});
