import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { NO_TUNING } from '../../../../src/config/defaults.js';
import type { Tuning } from '../../../../src/config/types.js';
import type { Scope } from '../../../../src/service/paths.js';
import { formatUnit, hostUnitName } from '../../../../src/service/systemd/unit.js';
import { describedService, type ServiceChanges } from '../../../helpers/described-service.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { unlessSystemd, verifyUnits } from '../../../helpers/systemd-verify.js';

const PROGRAM = '/usr/bin/virt-sandbox-service';

function unit(changes: ServiceChanges, scope: 'system' | 'user' = 'system', program = PROGRAM): string {
  return formatUnit(describedService(changes), { program, scope });
}

/** The values of a key. */
function values(text: string, key: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
}

const nginx = { type: 'systemd' as const, bootTarget: 'multi-user.target', units: ['nginx.service', 'a@b.socket'] };

describe('the unit of a service', () => {
  it('has what systemd is to do, in full', () => {
    const settings = { connect: 'lxc:///', restart: 'on-failure' as const, startTimeout: 90_500, stopTimeout: 10_000 };
    const overlay = { type: 'directory' as const, path: '/var/lib/libvirt/filesystems/web' };
    assert.equal(
      unit({ settings, config: { service: nginx, overlay } }),
      `# Made from the service's file. Changes of the unit: systemctl edit web_sandbox.service
[Unit]
Description=Sandbox of the service web (nginx.service, a@b.socket)
Documentation=man:virt-sandbox-service(1)
SourcePath=/etc/libvirt-sandbox/services/web/config/sandbox.cfg
RequiresMountsFor=/etc/libvirt-sandbox/services/web /var/lib/libvirt/filesystems \
/var/lib/libvirt-sandbox/services/web
After=network.target libvirtd.socket libvirtd.service virtqemud.socket virtqemud.service virtlxcd.socket \
virtlxcd.service virtnetworkd.socket virtnetworkd.service virtlogd.socket virtlogd.service libvirt-guests.service \
virt-guest-shutdown.target
Wants=virt-guest-shutdown.target
ReloadPropagatedFrom=nginx.service a@b.socket

[Service]
Type=notify
NotifyAccess=main
SyslogIdentifier=web
ExecStart=:/usr/bin/virt-sandbox-service run web
ExecReload=:/usr/bin/virt-sandbox-service reload web
KillMode=mixed
TimeoutStartSec=121s
TimeoutStopSec=40s
Restart=on-failure
RestartSec=1s
RestartSteps=5
RestartMaxDelaySec=30s
RestartPreventExitStatus=78
WatchdogSec=120s
WatchdogSignal=SIGTERM

[Install]
WantedBy=multi-user.target
`,
    );
  });

  it('of a user is for the systemd of the user', () => {
    const text = unit({ config: { service: nginx } }, 'user');
    assert.deepEqual(values(text, 'WantedBy'), ['default.target']);
    for (const key of ['After', 'Wants']) assert.deepEqual(values(text, key), ['virt-sandbox-session.service']);
  });

  it('of a user wants the session daemon where it may use that', () => {
    for (const connect of ['qemu:///embed', 'qemu:///session', undefined]) {
      const text = unit({ settings: { connect } }, 'user');
      const expected = connect === 'qemu:///embed' ? [] : ['virt-sandbox-session.service'];
      for (const key of ['After', 'Wants']) assert.deepEqual(values(text, key), expected);
    }
  });

  it('waits for no daemon where there is none', () => {
    for (const connect of ['qemu:///embed', 'qemu:///embed?root=/x'])
      assert.deepEqual(values(unit({ settings: { connect } }), 'After'), ['network.target virt-guest-shutdown.target']);
    for (const connect of ['qemu:///system', 'lxc:///', undefined])
      assert.match(values(unit({ settings: { connect } }), 'After').join(), /libvirtd\.socket .*virtlxcd\.socket/);
  });

  it('of a command has nothing to reload', () => {
    const text = unit({ config: { service: { type: 'generic' } } });
    assert.deepEqual(values(text, 'ExecReload'), []);
    assert.deepEqual(values(text, 'ReloadPropagatedFrom'), []);
  });

  it('has a watchdog only where the service is restarted', () => {
    for (const [restart, expected] of [
      ['no', []],
      ['on-failure', ['120s']],
      ['always', ['120s']],
    ] as const) {
      const text = unit({ settings: { restart } });
      assert.deepEqual(values(text, 'Restart'), [restart]);
      assert.deepEqual(values(text, 'WatchdogSec'), expected);
    }
  });

  it('has the limits of a machine that libvirt makes no control group for', () => {
    const tuning = { memoryLimit: 256 << 20, memorySoftLimit: 192 << 20, memorySwapLimit: 320 << 20, cpuQuota: 12_345 };
    const limits = (connect: string | undefined, changes: Partial<Tuning> = {}) =>
      unit({ settings: { connect }, config: { tuning: { ...NO_TUNING, ...tuning, ...changes }, vcpus: 2 } })
        .split('\n')
        .filter((line) => /^(Memory|CPU)/.test(line));
    const memory = ['MemoryHigh=201326592', 'MemoryMax=268435456', 'MemorySwapMax=67108864'];
    assert.deepEqual(limits('qemu:///embed'), [...memory, 'CPUQuota=24.69%']);
    const most = limits('qemu:///embed', { cpuQuota: 2 ** 44, cpuPeriod: 1000 });
    assert.deepEqual(most, [...memory, 'CPUQuota=20000000%', 'CPUQuotaPeriodSec=1000us']);
    for (const connect of ['qemu:///system', 'qemu:///session', 'lxc:///', undefined])
      assert.deepEqual(limits(connect), []);
  });

  it('needs the file system of the state only where it is kept', () => {
    const config = { overlay: { type: 'memory' as const } };
    assert.deepEqual(values(unit({ config }), 'RequiresMountsFor'), [
      '/etc/libvirt-sandbox/services/web /var/lib/libvirt-sandbox/services/web',
    ]);
  });

  it('names no unit that cannot be one', () => {
    const units = [
      'a b.service',
      'x.service\nExecStart=/bin/sh',
      '%n.service',
      'x',
      '',
      'ok-1@\\x2d.service',
      `${'x'.repeat(256)}.service`,
    ];
    const text = unit({ config: { service: { ...nginx, units } } });
    assert.deepEqual(values(text, 'ReloadPropagatedFrom'), ['ok-1@\\x2d.service']);
    assert.deepEqual(values(text, 'Description'), ['Sandbox of the service web (ok-1@\\x2d.service)']);
    assert.equal(values(text, 'ExecStart').length, 1);
  });

  it('escapes what systemd would replace', () => {
    const home = '/home/50%_"a b" $HOME\\x';
    const roots = { scope: 'user' as const, services: home, directories: home, images: home, lives: home };
    const text = unit({ roots }, 'user', '/opt/50% $HOME;/run');
    assert.deepEqual(values(text, 'ExecStart'), [':"/opt/50%% $HOME;/run" run web']);
    assert.deepEqual(values(text, 'RequiresMountsFor'), ['"/home/50%%_\\"a b\\" $HOME\\\\x/web"']);
    assert.deepEqual(values(text, 'SourcePath'), ['/home/50%%_"a b" $HOME\\x/web/config/sandbox.cfg']);
  });

  it('leaves out a path that no unit can have', () => {
    const home = '/home/a\nb';
    const roots = { scope: 'user' as const, services: home, directories: home, images: home, lives: home };
    const text = unit({ roots }, 'user');
    assert.deepEqual(values(text, 'RequiresMountsFor'), []);
    assert.deepEqual(values(text, 'SourcePath'), []);
  });

  it('is refused where systemd cannot run the program', () => {
    for (const odd of ['"', "'", '\\', '\n', '\t', '\u0085'])
      assert.throws(() => unit({}, 'system', `/opt/${odd}/run`), { code: 'service-unit-impossible' });
  });
});

describe('systemd takes the unit of', { skip: unlessSystemd }, () => {
  /** What systemd says of a unit, whose program there is. Directories may have odd names. */
  function verified(t: TestContext, changes: ServiceChanges, { scope = 'system' as Scope, bin = '', home = '' } = {}) {
    const [above, place] = [join(scratchDirectory(t), `bin${bin}`), join(scratchDirectory(t), `home${home}`)];
    mkdirSync(above);
    const program = join(above, 'virt-sandbox-service');
    copyFileSync('/bin/true', program);
    const roots = { scope, services: place, directories: place, images: place, lives: place };
    const service = describedService({ ...changes, roots });
    // Not in an odd directory: systemd-analyze would make a search path of that.
    const path = join(scratchDirectory(t), hostUnitName(service.name));
    writeFileSync(path, formatUnit(service, { program, scope }));
    return verifyUnits([path], scope);
  }

  for (const scope of ['system', 'user'] as const)
    for (const restart of ['no', 'on-failure', 'always'] as const)
      for (const service of [nginx, { type: 'generic' as const }])
        it(`a ${service.type} service, ${scope}, restart ${restart}`, (t) => {
          assert.equal(verified(t, { config: { service }, settings: { restart } }, { scope }), '');
        });

  for (const [cpuQuota, cpuPeriod] of [
    [1000, undefined],
    [1000, 1_000_000],
    [2 ** 44, 1000],
  ])
    it(`a machine with limits, ${cpuQuota} of ${cpuPeriod} us`, (t) => {
      const tuning = { ...NO_TUNING, memoryLimit: 2 ** 52, memorySoftLimit: 1024, memorySwapLimit: 2 ** 52 };
      const config = { tuning: { ...tuning, cpuQuota, cpuPeriod } };
      const settings = { connect: 'qemu:///embed' };
      assert.equal(verified(t, { config, settings }), '');
      assert.equal(verified(t, { config, settings }, { scope: 'user' }), '');
    });

  for (const name of ['a', '_', 'a-b', 'a.b', 'a.service', '0', 'a-.', `${'x'.repeat(64)}`])
    it(`a service called ${name}`, (t) => assert.equal(verified(t, { name }), ''));

  for (const bin of [' ', '%', '%h', '$HOME', ';', '#', 'ä', ' @'])
    it(`a program below ${JSON.stringify(bin)}`, (t) => assert.equal(verified(t, {}, { bin }), ''));

  for (const home of [' ', '%', '%h', '"', "'", '\\x', '$HOME', ';', '#', 'ä', '\n', ' \\', '\t', '\\'])
    it(`a service below ${JSON.stringify(home)}`, (t) => assert.equal(verified(t, {}, { home }), ''));

  it('notices that a unit is wrong', (t) => {
    const path = join(scratchDirectory(t), 'wrong.service');
    writeFileSync(path, '[Service]\nType=notify\nExecStart=/nonexistent\nWatchdogSec=soon\n');
    assert.match(verifyUnits([path]), /WatchdogSec/);
  });
});
