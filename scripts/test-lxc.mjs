// A libvirtd for the tests of lxc:///.
//
// libvirt's LXC driver fails where cgroups are mounted both as version 1 and version 2, and it shares the machine's containers, networks and
// settings with whoever else uses it. So the tests have one of their own, in mount and network namespaces of its own; who wants to talk to it
// enters the first of them.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { daemon, end, until } from './test-daemons.mjs';

/** Run where nothing that is mounted is seen by the machine. */
const SCRIPT = `
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
exec libvirtd --pid-file /run/libvirt/test.pid
`;

/**
 * Starts it. What came of it is told to the tests in VIRT_SANDBOX_TEST_LXC: the process ID of one that is in its namespaces, or why not.
 * @returns {Promise<{stop: () => Promise<void>}>} ends what was started
 */
export async function startLxcLibvirt() {
  if (process.geteuid() !== 0) {
    process.env.VIRT_SANDBOX_TEST_LXC = 'only root may start a libvirtd for lxc:///';
    return { stop: async () => {} };
  }
  const unshare = ['unshare', '--mount', '--net', '--propagation', 'private', '--'];
  const child = daemon(...unshare, 'tini', '-s', '--', 'sh', '-euc', SCRIPT);
  child.command = 'libvirtd for lxc:///';
  try {
    await until(() => answers(child.pid), [child]);
    process.env.VIRT_SANDBOX_TEST_LXC = String(child.pid);
  } catch (error) {
    process.env.VIRT_SANDBOX_TEST_LXC = error.message;
  }
  return { stop: () => end(child) };
}

async function answers(pid) {
  const enter = ['--mount', '--target', String(pid), '--'];
  try {
    // The socket of another daemon is seen until the script has got that far.
    await promisify(execFile)('nsenter', [...enter, 'test', '-e', '/run/libvirt/test.pid']);
    await promisify(execFile)('nsenter', [...enter, 'virsh', '-q', '-c', 'lxc:///', 'list'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
