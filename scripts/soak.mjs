// Runs the soak: node scripts/soak.mjs [--only NAME]… [--seed N] [--count N] [--hours N] [--json]
//
// It kills daemons and looks for whatever is left over, so it runs in namespaces of its own: processes, mounts, network
// and System V IPC. Nothing that it starts or makes is seen outside, and all of it goes when this program ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { revision } from './revision.mjs';
import { LXC_MOUNTS } from './test-lxc.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
/** A name that one process has: unix(7), an abstract address. */
const ALONE = '\0virt-sandbox-soak';
/** Set inside the namespaces: a directory of this run's own. */
const INSIDE = 'VIRT_SANDBOX_SOAK';

/**
 * Hides what is the machine's. The clone is mounted where every user can enter it. The network has one card, with a
 * route that leads nowhere.
 */
const SCRIPT = `
mount --bind "$1" "$2"
mkdir -p /run/libvirt /run/libvirt-sandbox /run/libvirt-sandbox-pools /var/lib/libvirt /var/log/libvirt /etc/libvirt
for directory in /run/libvirt /run/libvirt-sandbox /run/libvirt-sandbox-pools /var/lib/libvirt /var/log/libvirt /etc/libvirt/*/; do
  [ ! -d "$directory" ] || mount -t tmpfs -o mode=755 tmpfs "$directory"
done
for directory in /tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $directory; done
ip link set lo up
ip link add card0 type veth peer name card1
ip address add 198.51.100.2/24 dev card0
ip link set card0 up
ip link set card1 up
ip route add default via 198.51.100.1
cd "$2"
shift 2
exec "$@"
`;

if (process.geteuid() !== 0) {
  process.stderr.write('soak: needs root: it becomes other users, and makes namespaces and mounts\n');
  process.exit(2);
}
process.exitCode = process.env[INSIDE] === undefined ? await outside() : await inside(process.env[INSIDE]);

async function inside(directory) {
  const { soak } = await import('../build/test/soak/main.js');
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  const built = process.env.VIRT_SANDBOX_SOAK_REVISION ?? '';
  const surroundings = {
    version: built === '' ? version : `${version} (${built})`,
    directory,
    lxcScript: LXC_MOUNTS,
  };
  return soak(process.argv.slice(2), surroundings);
}

/** Sends SIGTERM to the first process inside, a child of unshare. @returns false if there is none */
function tell(unshare) {
  const first = Number.parseInt(readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8'), 10);
  return first > 0 && process.kill(first, 'SIGTERM');
}

/**
 * Holds the name while this process runs. Control groups are the machine's, so the containers of two soaks disturb each
 * other.
 * @returns undefined if another soak has it
 */
async function onlyOne() {
  const server = createServer();
  try {
    await once(server.listen(ALONE), 'listening');
    return server;
  } catch (error) {
    if (error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
}

async function outside() {
  const held = await onlyOne();
  if (held === undefined) {
    process.stderr.write('soak: another one runs on this machine, and they would disturb each other; wait for it\n');
    return 2;
  }
  try {
    return await alone();
  } finally {
    held.close();
  }
}

async function alone() {
  // Not in /tmp, which the run replaces.
  const directory = mkdtempSync('/var/tmp/virt-sandbox-soak-');
  chmodSync(directory, 0o755);
  const clone = join(directory, 'clone');
  mkdirSync(clone);
  try {
    const unshare = ['--mount', '--net', '--ipc', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const program = join(clone, 'scripts/soak.mjs');
    // What a sandbox leaves behind becomes a child of tini, which reaps it.
    const again = ['tini', '-s', '--', process.execPath, program, ...process.argv.slice(2)];
    const words = [...unshare, '--propagation', 'private', '--', 'sh', '-euc', SCRIPT, 'sh', repository, clone];
    const env = { ...process.env, [INSIDE]: directory, VIRT_SANDBOX_SOAK_REVISION: revision() };
    // When this process is killed, unshare is, and with it the first process of the namespace and all others.
    const bound = ['--pdeathsig', 'KILL', '--', 'unshare', ...words, ...again];
    const child = spawn('setpriv', bound, { stdio: 'inherit', env, detached: true });
    let isTold = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        // The first one lets it finish its run and print the table. unshare itself passes nothing on.
        if (isTold || !tell(child.pid)) child.kill('SIGKILL');
        isTold = true;
      });
    }
    const [code] = await once(child, 'exit');
    return code ?? 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
