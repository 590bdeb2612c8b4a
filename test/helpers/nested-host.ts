/** A sandbox that is a host itself: root's libvirtd and sandboxes run in it. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './run.js';

/** Where libvirt and the launcher write. */
const WRITABLE = ['/var/lib/libvirt', '/var/cache', '/var/log', '/var/tmp', '/etc/libvirt'];

/**
 * The mounts of such a sandbox. The repository is at /mnt.
 * @param cache has a boot image for the machines inside: its launchers would build one for half a minute
 * @param media is at /media. This makes `capabilities` in it, what libvirt knows about QEMU: libvirtd inside would take
 *   ten seconds of a processor to find that out
 */
export function nestedHostMounts(cache: string, media: string): string[] {
  mkdirSync(media, { recursive: true });
  cpSync(capabilitiesWithoutKvm(join(media, 'libvirt')), join(media, 'capabilities'), { recursive: true });
  return [
    ...WRITABLE.flatMap((target) => ['-m', `ram:${target}=100M`]),
    ...['-m', `host-bind:/var/cache/virt-sandbox=${join(cache, 'virt-sandbox')}`],
    ...['-m', `host-bind:/mnt=${REPOSITORY},ro`, '-m', `host-bind:/media=${media}`],
  ];
}

/** The beginning of its script: directories that libvirtd does not make, and what it knows about QEMU. */
export const NESTED_HOST_SCRIPT = `
mkdir -p /var/log/libvirt /etc/libvirt/lxc /etc/libvirt/qemu /run/lock /var/cache/libvirt/qemu
cp -r /media/capabilities /var/cache/libvirt/qemu
mount -t cgroup2 none /sys/fs/cgroup
`;

/** Has libvirt find out what each QEMU can do where there is no KVM. @returns the directory where it keeps that */
function capabilitiesWithoutKvm(root: string): string {
  const script = '[ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm; exec "$@"';
  const command = ['virsh', '-q', '-c', `qemu:///embed?root=${root}`, 'capabilities'];
  execFileSync('unshare', ['--mount', '--', 'sh', '-ec', script, 'sh', ...command], { stdio: 'ignore' });
  return join(root, 'cache/qemu/capabilities');
}
