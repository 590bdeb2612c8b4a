// A libvirtd for qemu:///system, for tests and benchmarks.
//
// A libvirtd that runs already is used, if virtlogd runs beside it: without virtlogd it starts no machine. Otherwise
// this file starts both, in a mount namespace where the sockets, pid files and state of other daemons are hidden. So
// the two disturb no daemon that is already there (one of the two alone, one that hangs, one that another run of the
// tests has started), and no other run comes to depend on them.
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import process from 'node:process';
import { promisify } from 'node:util';
import { daemon, end, reaped, until } from './test-daemons.mjs';
import { runAgain } from './test-namespace.mjs';

const URI = 'qemu:///system';
/** Set in a process that runs where the daemons of the machine are hidden. */
const HIDDEN = 'VIRT_SANDBOX_TEST_HIDDEN';

/** Hides the daemons of the machine with their domains, networks, pools and filters; their settings stay. */
const HIDE = `
mkdir -p /run/libvirt /var/lib/libvirt /etc/libvirt
for directory in /run/libvirt /var/lib/libvirt /etc/libvirt/*/; do
  [ ! -d "$directory" ] || mount -t tmpfs -o mode=755 tmpfs "$directory"
done
`;

/**
 * What benchmarks have besides: sandboxes keep their files in memory, as on hosts where /run is a tmpfs. In containers
 * it may be on a disk, where each file takes several times as long.
 */
export const IN_MEMORY = `
if [ "$(stat -f -c %T /run)" != tmpfs ]; then
  mkdir -p /run/libvirt-sandbox
  mount -t tmpfs -o mode=755 tmpfs /run/libvirt-sandbox
fi
`;

/**
 * Runs this program again where libvirtd can be started, if it has to be: call it first.
 * @param {string} [also] a script for the shell to prepare that place with
 * @returns {Promise<number | undefined>} the exit status of the other run; undefined if this one goes on
 */
export async function runWhereLibvirtStarts(also = '') {
  if (process.geteuid() !== 0 || (await answers()) || process.env[HIDDEN] !== undefined) return undefined;
  return runAgain(process.argv[1], HIDE + also, [], { ...process.env, [HIDDEN]: 'yes' });
}

/**
 * Finds or starts libvirtd and virtlogd, and tells the tests the result in VIRT_SANDBOX_TEST_SYSTEM: `yes`, or why not.
 * @param {AbortSignal} [signal] gives up
 * @returns {Promise<{stop: () => Promise<void>}>} ends what was started, and nothing else
 * @throws if root cannot start them, because most tests would be skipped and nobody would notice
 */
export async function startSystemLibvirt(signal) {
  const children = [];
  const stop = async () => {
    for (const child of children.splice(0).reverse()) await end(child);
  };
  try {
    process.env.VIRT_SANDBOX_TEST_SYSTEM = await start(children, signal);
  } catch (error) {
    await stop();
    throw new Error(`no libvirtd for ${URI} can be started: ${error.message}`);
  }
  return { stop };
}

async function start(children, signal) {
  if (await answers()) return 'yes';
  if (process.env[HIDDEN] === undefined) return 'only root may start a libvirtd for qemu:///system, and none answers';
  children.push(daemon('virtlogd', '--pid-file', '/run/libvirt/virtlogd.pid'));
  await until(logs, children, signal);
  children.push(daemon(...reaped('libvirtd', '--pid-file', '/run/libvirt/libvirtd.pid')));
  await until(lists, children, signal);
  return 'yes';
}

/** True if libvirtd and virtlogd answer. */
async function answers() {
  return (await logs()) && (await lists());
}

async function lists() {
  try {
    await promisify(execFile)('virsh', ['-q', '-c', URI, 'list'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/** True if virtlogd accepts connections. The socket alone proves nothing: it outlives a virtlogd that was killed. */
function logs() {
  return new Promise((resolve) => {
    const socket = connect('/run/libvirt/virtlogd-sock', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
