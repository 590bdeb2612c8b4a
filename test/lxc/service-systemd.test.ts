/** The systemd of this host as the application of a container, with units of the tests. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { groupNameOf } from '../../init/common/systemd.js';
import { configFromOptions } from '../../src/config/options.js';
import { formatSandboxCfg } from '../../src/config/sandbox-cfg/sandbox-cfg.js';
import { removeSystemdGroups } from '../../src/sandbox/state/systemd-group.js';
import { lxc } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { OWN_UNITS, unlessHostSystemd, writeUnits } from '../helpers/systemd-sandbox.js';

const skip = lxc.skip || unlessHostSystemd;

const SLEEP = 'exec sleep infinity';

const UNITS = {
  'hello.service': `[Service]\nExecStart=/bin/sh -c 'echo hello; ${SLEEP}'\n`,
  'walled@.service': `[Service]
Type=exec
ExecStart=/bin/sh -c 'touch /tmp/mine; ${SLEEP}'
DynamicUser=yes
StateDirectory=walled-%i
PrivateTmp=yes
PrivateNetwork=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
`,
};

async function start(context: TestContext) {
  const name = uniqueName();
  const directory = scratchDirectory(context);
  writeUnits(directory, UNITS);
  const mount = [`host-bind:${OWN_UNITS}=${directory},ro`];
  const config = await configFromOptions({ command: ['x'], mount, name, privileged: true });
  const units = ['hello.service', 'walled@one.service'];
  const service = { type: 'systemd', bootTarget: 'multi-user.target', units } as const;
  const file = join(scratchDirectory(context), 'sandbox.cfg');
  writeFileSync(file, await formatSandboxCfg({ ...config, service, overlay: { type: 'memory' } }));
  const running = startSandbox(['-c', lxc.uri, '--config', file], lxc.options);
  await running.until(/Queued start job/);
  const { guest } = JSON.parse(readFileSync(join(ROOT_STATE, name, 'sandbox.json'), 'utf8'));
  context.after(async () => {
    running.child.kill('SIGTERM');
    await running.result.catch(() => {});
    // The libvirtd of the tests hides them from the launcher.
    removeSystemdGroups(guest);
    for (const mount of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'])
      assert.equal(existsSync(join(mount, groupNameOf(guest.systemd))), false);
  });
  const inside = async (command: string) => {
    const { out, stderr, code } = await ctl(['exec', name, '--', 'sh', '-c', command], lxc.options);
    return { out: out.trim(), stderr, code };
  };
  const said = async (command: string) => (await inside(command)).out;
  return { name, running, inside, said };
}

describe('systemd in a container', { skip }, () => {
  it('starts the units that are named, has its journal, and ends in order', async (context) => {
    const { name, running, said } = await start(context);
    assert.equal(await said('systemctl is-system-running --wait'), 'running');
    assert.equal(await said('systemctl is-active hello walled@one'), 'active\nactive');
    const services = await said('systemctl list-units --type=service --plain --no-legend --no-pager');
    assert.deepEqual(
      services
        .split('\n')
        .map((line) => line.split(/ +/)[0])
        .filter((unit) => !unit?.startsWith('systemd-')),
      ['hello.service', 'walled@one.service'],
    );
    assert.equal(await said('until journalctl -q -o cat -u hello | grep hello; do :; done'), 'hello');
    assert.equal(await said('cat /proc/1/comm; hostname'), `systemd\n${name}`);
    const { code } = await ctl(['stop', name], lxc.options);
    assert.equal(code, 0);
    const { code: status, out, stderr } = await running.result;
    assert.equal(status, 0, stderr);
    assert.match(out, /Received SIGRTMIN\+3/);
    await assertNothingLeft(name, lxc.where);
  });

  it('ends with the status of systemctl exit', async (context) => {
    const { running, inside } = await start(context);
    await inside('systemctl exit 42');
    assert.equal((await running.result).code, 42);
  });

  it('keeps root inside from what is of the host', async (context) => {
    const { inside, said } = await start(context);
    assert.doesNotMatch(await said('cat /proc/self/uid_map'), /^\s*0\s+0\s/);
    const refused = [
      'cat /etc/shadow',
      'head -c1 /proc/kcore',
      'head -c1 /proc/kmsg',
      'cat /proc/timer_list',
      'echo h >/proc/sysrq-trigger',
      // The same as before, in case that it can be written.
      'pattern=$(cat /proc/sys/kernel/core_pattern) && echo "$pattern" >/proc/sys/kernel/core_pattern',
      'mount -t sysfs x /mnt',
      'mount -o remount,rw /sys',
      'mknod /run/disk b 254 0 && head -c1 /run/disk',
      'dmesg',
      'modprobe loop',
      'hostname other',
      // Other groups of the host, and a way to run a program outside.
      'umount /sys/fs/cgroup && umount /sys/fs/cgroup && ls /sys/fs/cgroup/*.slice',
      'mount -t cgroup -o devices x /mnt && echo a >/mnt/devices.allow',
      'mount -t cgroup -o devices x /mnt && echo /bin/true >/mnt/release_agent',
    ];
    for (const command of refused) {
      const { code, out } = await inside(command);
      assert.notEqual(code, 0, `${command}: ${out}`);
    }
  });
});
