/**
 * A libvirtd of a test's own, with networks and filters of its own, in a mount and network namespace of its own: what it makes, bridges and
 * firewall rules included, nobody else sees, and it is gone with it.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { environment, type RunOptions, type RunResult, runSandbox } from './run.js';

const START_MS = 60_000;
const URI = 'qemu:///system';

/** libvirt takes the control groups of the first kind, each controller mounted where it is usual. */
const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids'];

const SCRIPT = `
ip link set lo up
for directory in /run/libvirt /etc/libvirt/nwfilter /etc/libvirt/qemu /var/lib/libvirt/dnsmasq; do
  mkdir -p $directory
  mount -t tmpfs -o mode=755 tmpfs $directory
done
mount -t tmpfs tmpfs /sys/fs/cgroup
for controller in ${CONTROLLERS.join(' ')}; do
  mkdir /sys/fs/cgroup/$controller
  mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller || rmdir /sys/fs/cgroup/$controller
done
virtlogd -p /run/libvirt/virtlogd.pid &
exec tini -s -- libvirtd -p /run/libvirt/libvirtd.pid
`;

export class PrivateLibvirt {
  readonly uri = URI;
  readonly #child: ChildProcess;
  readonly #stopped: Promise<void>;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#stopped = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
  }

  /** The caller must be root. End it with {@link end}. */
  static async start(): Promise<PrivateLibvirt> {
    const namespaces = [
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
    ];
    const child = spawn('unshare', [...namespaces, 'sh', '-euc', SCRIPT], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment(),
    });
    const lab = new PrivateLibvirt(child);
    try {
      await lab.#answers();
    } catch (error) {
      await lab.end();
      throw error;
    }
    return lab;
  }

  /** What runs a command among its processes. */
  get through(): readonly string[] {
    return ['nsenter', '-t', String(this.#inside), '-m', '-n', '-p', '--'];
  }

  /** Runs a command there; rejects when it fails. */
  async run(...command: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...this.through, ...command];
    const { stdout } = await promisify(execFile)(program, args, { env: environment(), timeout: 60_000 });
    return stdout;
  }

  virsh(...args: readonly string[]): Promise<string> {
    return this.run('virsh', '-q', '-c', URI, ...args);
  }

  /** Runs virsh with a file of that content as its last argument. */
  async virshFile(directory: string, command: string, content: string): Promise<string> {
    const file = join(directory, `${command}.xml`);
    writeFileSync(file, content);
    return this.virsh(command, file);
  }

  /** Runs `virt-sandbox -c qemu:///system ARGS` there. */
  sandbox(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runSandbox(['-c', URI, ...args], { ...options, through: this.through });
  }

  /** Ends it and everything that was started in it. */
  async end(): Promise<void> {
    // Its first process is the first of a PID namespace: all the others go with it.
    this.#child.kill('SIGKILL');
    await this.#stopped;
  }

  /** The process in the namespaces, which is a child of the one that made them. */
  get #inside(): number {
    return this.#pid ?? 0;
  }

  #pid: number | undefined;

  async #answers(): Promise<void> {
    let why: unknown;
    for (const deadline = Date.now() + START_MS; Date.now() < deadline && this.#child.exitCode === null; ) {
      try {
        this.#pid ??= await childOf(this.#child.pid ?? 0);
        await this.virsh('list');
        return;
      } catch (error) {
        why = error;
        await sleep(100);
      }
    }
    throw new Error(`libvirtd does not answer: ${String(why)}\n${this.#said}`);
  }
}

async function childOf(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=', '--ppid', String(pid)]);
  return Number.parseInt(stdout, 10);
}

/** Why no libvirtd of one's own can be had here, or false. */
export function unlessPrivateLibvirt(): string | false {
  if (process.geteuid?.() !== 0) return 'only root can make networks';
  const missing = ['/usr/sbin/libvirtd', '/usr/sbin/dnsmasq', '/dev/net/tun'].filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `there is no ${missing.join(', ')}`;
}
