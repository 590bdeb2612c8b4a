// A libvirtd for the tests of qemu:///system, where none answers.
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { daemon, end, until } from './test-daemons.mjs';

const URI = 'qemu:///system';

/**
 * Finds or starts libvirtd with virtlogd beside it. What came of it is told to the tests in VIRT_SANDBOX_TEST_SYSTEM: `yes`, or why not.
 * @returns {Promise<{stop: () => Promise<void>}>} ends what was started, and nothing else
 * @throws where root cannot start it: a good part of the tests would be left out, and nobody would see
 */
export async function startSystemLibvirt() {
  const children = [];
  const stop = async () => {
    for (const child of children.splice(0).reverse()) await end(child);
  };
  try {
    process.env.VIRT_SANDBOX_TEST_SYSTEM = await start(children);
  } catch (error) {
    await stop();
    throw new Error(`no libvirtd for ${URI} can be started: ${error.message}`);
  }
  return { stop };
}

async function start(children) {
  if (await answers()) return 'yes';
  if (process.geteuid() !== 0) return 'only root may start a libvirtd for qemu:///system, and none answers';
  if (!(await logs())) {
    children.push(daemon('virtlogd'));
    await until(logs, children);
  }
  // libvirt waits for each QEMU that it has killed to be reaped, and not every first process of a container does that at once; tini does.
  children.push(daemon('tini', '-s', '--', 'libvirtd'));
  await until(answers, children);
  return 'yes';
}

async function answers() {
  try {
    await promisify(execFile)('virsh', ['-q', '-c', URI, 'list'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/** True when virtlogd takes connections: one that was killed leaves its socket behind. */
function logs() {
  return new Promise((resolve) => {
    const socket = connect('/run/libvirt/virtlogd-sock', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
