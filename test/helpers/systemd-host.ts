/** A sandbox that is a host with systemd, which manages services: their sandboxes run in it. */
import { join } from 'node:path';
import { REPOSITORY } from './run.js';

/** Where its script finds what a test has prepared, and writes what it has seen. */
export const MEDIA = '/media';

const CACHE = '/srv';

/** The unit that systemd boots to, and ends with. */
export const MANAGER = 'manager.service';

/** What is written to; /etc/libvirt has files that QEMU's user cannot read. */
const IN_MEMORY = ['/var/cache', '/var/lib', '/var/log', '/var/tmp', '/etc/libvirt'];

/**
 * The options of such a sandbox, and its command. The repository is at /mnt.
 * @param media is at {@link MEDIA}: what is below `root` in it comes to the root
 * @param cache has a boot image for the machines inside
 */
export function systemdHost(media: string, cache: string): string[] {
  return [
    ...['--privileged', '--overlay', '--nested-kvm', '--vcpus', '2', '--memory', '3G'],
    ...IN_MEMORY.flatMap((target) => ['-m', `ram:${target}=1G`]),
    ...['-m', `host-bind:/mnt=${REPOSITORY},ro`, '-m', `host-bind:${MEDIA}=${media}`],
    ...['-m', `host-bind:${CACHE}=${cache},ro`],
    ...['--', 'bash', '-ec', PREPARE],
  ];
}

/** The unit. @param program of the tests that it runs */
export function managerUnit(program: string): string {
  return `[Unit]
Requires=basic.target
After=basic.target
Wants=systemd-journald.socket dbus.socket
[Service]
Type=oneshot
ExecStart=${process.execPath} ${join('/mnt/build/test/helpers', program)}
ExecStopPost=/bin/systemctl --no-block exit
StandardOutput=append:${MEDIA}/told
StandardError=append:${MEDIA}/log
TimeoutStartSec=infinity
`;
}

/**
 * Starts systemd as the first process of namespaces of its own, with nothing of this host but what the manager starts.
 * Its generators do not see /tmp. Its control groups are a part of the machine's, without other processes.
 */
const PREPARE = `
modprobe kvm_amd
chmod 666 /dev/kvm
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo +$controller >/sys/fs/cgroup/cgroup.subtree_control
done
rm -rf /usr/lib/systemd/system/*.{wants,requires} /etc/systemd/system/*.{wants,requires}
mkdir -p /etc/libvirt-sandbox
mount -t tmpfs none /etc/libvirt-sandbox
cp -r ${MEDIA}/root/. /
cp -a ${CACHE}/virt-sandbox /var/cache
mkdir -p /gate /var/log/libvirt /etc/libvirt/{lxc,qemu} /var/lib/libvirt/{lxc,qemu} /var/cache/generators
ln -s /mnt/bin/virt-sandbox-service-generator /var/cache/generators
cat >/tmp/systemd <<'END'
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mkdir -p /run/lock /run/gates
exec env -i container=virt-sandbox SYSTEMD_GENERATOR_PATH=/var/cache/generators \\
  /lib/systemd/systemd --system --unit=${MANAGER} --log-target=kmsg --show-status=no
END
cat >/tmp/enter <<'END'
echo 0 >/sys/fs/cgroup/systemd/cgroup.procs
exec unshare --cgroup bash -e /tmp/systemd
END
unshare --pid --fork --mount --mount-proc bash -e /tmp/enter
`;
