/**
 * Limits of units in a container whose host has control groups of version 2 alone: a sandbox is that host, and libvirtd
 * runs in it. Its root is in memory, for a container has a root that can be mounted with other owners.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { configFromOptions } from '../../src/config/options.js';
import { formatSandboxCfg } from '../../src/config/sandbox-cfg/sandbox-cfg.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { NESTED_HOST_SCRIPT, nestedHostMounts } from '../helpers/nested-host.js';
import { runSandbox } from '../helpers/run.js';
import { systemdRoot } from '../helpers/systemd-root.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

const skip =
  embedded.skip ||
  unlessHostSystemd ||
  (existsSync('/usr/lib/libvirt/libvirt_lxc') ? false : 'libvirt has no driver for containers here');

/** Zeros without a line feed are one line, which tail(1) keeps. */
const HOG = `[Service]
ExecStart=/bin/sh -c 'head -c 120000000 /dev/zero | tail >/dev/null; exec sleep 1000'
OOMPolicy=kill
MemoryMax=30M
TasksMax=20
CPUQuota=50%
`;

/** As systemd has it on a host, groups below the topmost one have the controller of processes. */
const SCRIPT = `
${NESTED_HOST_SCRIPT}
echo +pids >/sys/fs/cgroup/cgroup.subtree_control
modprobe --all veth bridge overlay
cp -a /media/root /run/root
libvirtd 2>/run/libvirtd.log &
daemon=$!
up() { for try in $(seq 100); do virsh -q -c lxc:/// list >/run/list 2>/dev/null && break; sleep 0.1; done; }
up
/mnt/bin/virt-sandbox -c lxc:/// --config /media/sandbox.cfg --detach 2>&1
inside() { /mnt/bin/virt-sandbox-ctl exec limits -- "$@" 2>&1; }
echo == controllers
inside cat /sys/fs/cgroup/cgroup.controllers
echo == result
inside sh -c 'until systemctl is-failed -q hog; do sleep 0.1; done; systemctl show -P Result hog'
echo == seen
inside sh -c 'umount -l /sys/fs/cgroup; ls -d /sys/fs/cgroup/*/'
# A daemon that starts again ends containers whose groups it does not find.
kill -9 $daemon
rm -f /run/libvirt/libvirt-sock /run/libvirtd.pid
libvirtd -d
up
echo == again
cat /run/list
/mnt/bin/virt-sandbox-ctl stop limits 2>&1
echo == left
find /sys/fs/cgroup/machine -mindepth 1 -type d
`;

describe('limits of units in a container, on a host with control groups of version 2', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
  const cache = makeCache();
  after(() => {
    rmSync(directory, { recursive: true, force: true });
    removeCache(cache);
  });

  it('count, and libvirt knows its container all the same', async () => {
    const mounts = nestedHostMounts(cache, directory);
    systemdRoot(join(directory, 'root'), { 'hog.service': HOG });
    const config = await configFromOptions({ command: ['x'], name: 'limits', root: '/run/root', privileged: true });
    const service = { type: 'systemd', bootTarget: 'multi-user.target', units: ['hog.service'] } as const;
    const text = await formatSandboxCfg({ ...config, service, overlay: { type: 'memory' } });
    writeFileSync(join(directory, 'sandbox.cfg'), text);
    const { out, stderr } = await runSandbox(
      ['-c', embedded.uri, '--privileged', '--memory', '1536', ...mounts, '--', 'sh', '-c', SCRIPT],
      { timeout: 300_000 },
    );
    const parts = new Map(out.split(/^== /m).map((part) => [part.split('\n')[0], part.split('\n').slice(1)] as const));
    const said = (name: string) => (parts.get(name) ?? assert.fail(`${out}${stderr}`)).filter((line) => line !== '');
    assert.deepEqual(said('controllers'), ['cpuset cpu io memory pids']);
    assert.deepEqual(said('result'), ['oom-kill']);
    assert.deepEqual(said('seen'), ['/sys/fs/cgroup/init/', '/sys/fs/cgroup/systemd/']);
    assert.match(said('again').join('\n'), /limits +running/);
    assert.deepEqual(said('left'), []);
  });
});
