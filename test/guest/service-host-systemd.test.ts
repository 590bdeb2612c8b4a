/**
 * Services that the host's systemd manages. No test host has one that runs, so a machine is such a host: its systemd
 * asks the generator, and starts, watches and ends sandboxes there: a container, and a machine under KVM.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { NO_TUNING } from '../../src/config/defaults.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { COMMAND, GATES, HELLO, type Parts, SITE, WRONG } from '../helpers/service-host.js';
import { SystemdHost } from '../helpers/systemd-host.js';

const SERVICES = 'etc/libvirt-sandbox/services';

/** A unit of the host, and of the machine, where a reload of it is told at the host's side of /gate. */
const UNIT = `[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'test ! -d /gate || echo inside >/gate/reloaded'
`;

/** More than it needs. */
const LIMITS = { ...NO_TUNING, memoryLimit: 1 << 30, cpuQuota: 150_000 };

/** Says on the host's side of /gate what it does. */
const SCRIPT = `trap 'echo asked to end >/gate/ended; exit 0' TERM
echo >/gate/begun
while :; do sleep 0.2; done`;

const skip =
  embedded.skip || unlessProgram('libvirtd', 'virtlogd', 'systemctl', 'modprobe', 'journalctl', 'dmesg', 'pgrep');

describe('a host with systemd', { skip }, () => {
  let parts: Partial<Parts> = {};
  const part = <Name extends keyof Parts>(name: Name): Parts[Name] => parts[name] ?? assert.fail(`no ${name}`);

  const host = new SystemdHost();
  after(() => host.remove());

  before(async () => {
    host.add(`etc/systemd/system/${HELLO}`, UNIT);
    const mount = (name: string) => [`host-bind:/gate=${GATES}/${name}`];
    const generic = { service: { type: 'generic' as const } };
    await host.addService(COMMAND, {
      command: ['sh', '-c', SCRIPT],
      mount: mount(COMMAND),
      config: generic,
      settings: { restart: 'on-failure', connect: 'lxc:///', health: 'test -e /gate/open' },
    });
    host.add(`etc/systemd/system/${COMMAND}_sandbox.service.d/soon.conf`, '[Service]\nWatchdogSec=20s\n');
    await host.addService(WRONG, {
      command: ['/no/such/program'],
      mount: mount(WRONG),
      config: generic,
      settings: { restart: 'always', connect: 'lxc:///' },
    });
    const systemd = { type: 'systemd' as const, bootTarget: 'multi-user.target', units: [HELLO] };
    await host.addService(SITE, {
      command: ['/lib/systemd/systemd'],
      mount: mount(SITE),
      config: {
        service: systemd,
        privileged: true,
        overlay: { type: 'memory' as const },
        requireKvm: true,
        tuning: LIMITS,
      },
      // systemd in it ends in order, on a busy host too.
      settings: { connect: embedded.uri, autostart: true, stopTimeout: 120_000 },
    });
    host.add(`${SERVICES}/broken/config/sandbox.cfg`, 'nothing\n');
    host.add(`${SERVICES}/.${SITE}.new/config/sandbox.cfg`, 'nothing\n');
    parts = await host.run<Parts>('service-host.js');
  });

  it('has a unit for each service, by its generator', () => {
    const { units } = part('generated');
    for (const name of [COMMAND, SITE, WRONG]) {
      const { LoadState, UnitFileState, SourcePath, NotifyAccess } = units[name] ?? assert.fail(name);
      assert.deepEqual(
        { LoadState, UnitFileState, SourcePath, NotifyAccess },
        {
          LoadState: 'loaded',
          UnitFileState: 'generated',
          SourcePath: `/${SERVICES}/${name}/config/sandbox.cfg`,
          NotifyAccess: 'main',
        },
      );
    }
    assert.equal(units['broken']?.LoadState, 'not-found');
  });

  it('says in the log of the kernel what is broken', () => {
    assert.match(part('generated').log, /^[^\n]*virt-sandbox-service-generator: "[^"]*\/broken" gets no unit: [^\n]+$/);
  });

  it('has its target want what is to start by itself', () => {
    assert.match(part('generated').wanted, /\bsite_sandbox\.service\b/);
    assert.doesNotMatch(part('generated').wanted, /\bcommand_sandbox\.service\b/);
  });

  it('a start is over when the service is ready', () => {
    const [starting, ready] = [part('starting'), part('ready')];
    assert.deepEqual([starting.ActiveState, starting.SubState], ['activating', 'start']);
    assert.deepEqual([ready.ActiveState, ready.SubState], ['active', 'running']);
    assert.equal(ready.MainPID, starting.MainPID);
    assert.match(ready.StatusText, /^running/);
    const { status, stderr, MainPID } = part('started');
    assert.deepEqual({ status, MainPID }, { status: 0, MainPID: ready.MainPID }, stderr);
  });

  it('a command cannot be reloaded', () => {
    assert.notEqual(part('refused').status, 0);
    assert.match(part('refused').stderr, /reload is not applicable/);
  });

  it('a service whose holder was killed is started again', () => {
    assert.notEqual(part('killed').MainPID, part('ready').MainPID);
  });

  it('one that hangs is ended by the watchdog, and started again', () => {
    assert.equal(part('ready').WatchdogUSec, '20s');
    assert.match(part('hung').log, /Watchdog timeout/);
    assert.match(part('hung').log, /Failed with result 'watchdog'/);
  });

  it('a restart by virt-sandbox-service is one by systemd', () => {
    const { status, stderr, before, log, ActiveState, MainPID } = part('restarted');
    assert.deepEqual({ status, ActiveState }, { status: 0, ActiveState: 'active' }, stderr);
    assert.notEqual(MainPID, before.MainPID);
    assert.equal(log.split('\n').length, 1, log);
  });

  it('a stop by it is one by systemd, which asks the command to end', () => {
    const { status, stderr, log, ActiveState, Result, ExecMainStatus, said } = part('stopped');
    assert.deepEqual(
      { status, ActiveState, Result, ExecMainStatus, said },
      { status: 0, ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0', said: 'asked to end\n' },
      stderr,
    );
    assert.equal(log.split('\n').length, 2, log);
  });

  it('what only a person can mend is not started again', () => {
    const { ActiveState, Result, NRestarts, ExecMainStatus } = part('wrong');
    assert.deepEqual(
      { ActiveState, Result, NRestarts, ExecMainStatus },
      { ActiveState: 'failed', Result: 'exit-code', NRestarts: '0', ExecMainStatus: '78' },
    );
  });

  it('a machine is started with its target, in the control group of its unit, which has its limits', () => {
    assert.equal(part('site').ActiveState, 'active', part('site').StatusText);
    assert.match(part('site').processes, /\bvirt-qemu-run\b/);
    assert.match(part('site').qemu, /^0::\S*\/site_sandbox\.service$/);
    assert.deepEqual(part('site').limits, [String(LIMITS.memoryLimit), '150000 100000']);
  });

  it('a reload of a unit of the host comes to the sandboxes that run it', () => {
    const { run, said } = part('reloaded');
    assert.match(run, /\/virt-sandbox-service ; argv\[\]=\S+ reload site ;.* code=exited ; status=0 /);
    assert.equal(said, 'inside\n');
  });

  it('a delete by it has systemd stop a machine that runs', () => {
    const { status, stderr, ActiveState, Result, MainPID } = part('deleted');
    assert.deepEqual(
      { status, ActiveState, Result, MainPID },
      { status: 0, ActiveState: 'inactive', Result: 'success', MainPID: '0' },
      stderr,
    );
  });

  it('nothing is left of what was stopped and deleted', () => {
    const { sandboxes, named, unit, wanted } = part('left');
    assert.deepEqual(
      { sandboxes, named, LoadState: unit.LoadState },
      { sandboxes: [], named: [], LoadState: 'not-found' },
    );
    assert.doesNotMatch(wanted, /site_sandbox/);
  });
});
