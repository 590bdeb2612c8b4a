// A libvirtd for lxc:///, for tests and benchmarks.
//
// libvirt's LXC driver fails on hosts that mount cgroups both as version 1 and version 2, and a daemon that is already
// there serves containers, networks and settings of other people. So the tests have their own libvirtd in mount and
// network namespaces of its own, with its own pid file, sockets and state. A client enters the mount namespace to reach
// it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { daemon, end, reaped, until } from './test-daemons.mjs';

/**
 * What libvirtd needs for containers. It runs in namespaces, so the machine does not see these mounts. Within them they
 * are shared, as a host's are under systemd: libvirt_lxc copies each mount that there is, and a copy that does not see
 * what is unmounted later keeps the loop device of another container's state.
 */
export const LXC_MOUNTS = `
mount --make-rshared /
for directory in /run/libvirt /etc/libvirt /var/lib/libvirt; do
  mkdir -p $directory
  mount -t tmpfs -o mode=755 tmpfs $directory
done
if grep -q ' - cgroup ' /proc/self/mountinfo; then
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for name in cpu cpuacct cpuset memory devices freezer blkio pids name=systemd; do
    mkdir /sys/fs/cgroup/\${name#name=}
    case $name in name=*) options=none,$name ;; *) options=$name ;; esac
    mount -t cgroup -o $options cgroup /sys/fs/cgroup/\${name#name=}
  done
fi
ip link set lo up
`;

const SCRIPT = `${LXC_MOUNTS}exec libvirtd --pid-file /run/libvirt/test.pid\n`;

/**
 * Starts it, and tells the tests the result in VIRT_SANDBOX_TEST_LXC: the ID of a process in its namespaces, or why
 * there is none.
 * @param {AbortSignal} [signal] gives up
 * @returns {Promise<{stop: () => Promise<void>}>} ends what was started
 */
export async function startLxcLibvirt(signal) {
  if (process.geteuid() !== 0) {
    process.env.VIRT_SANDBOX_TEST_LXC = 'only root may start a libvirtd for lxc:///';
    return { stop: async () => {} };
  }
  const unshare = ['unshare', '--mount', '--net', '--propagation', 'private', '--'];
  const child = daemon(...unshare, ...reaped('sh', '-euc', SCRIPT));
  child.command = 'libvirtd for lxc:///';
  try {
    await until(() => answers(child.pid), [child], signal);
    process.env.VIRT_SANDBOX_TEST_LXC = String(child.pid);
  } catch (error) {
    process.env.VIRT_SANDBOX_TEST_LXC = error.message;
  }
  return { stop: () => end(child) };
}

async function answers(pid) {
  const enter = ['--mount', '--target', String(pid), '--'];
  try {
    // Until the script has mounted its own /run/libvirt, virsh would reach the machine's daemon.
    await promisify(execFile)('nsenter', [...enter, 'test', '-e', '/run/libvirt/test.pid']);
    await promisify(execFile)('nsenter', [...enter, 'virsh', '-q', '-c', 'lxc:///', 'list'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
