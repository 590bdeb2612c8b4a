/**
 * A private libvirtd with its own networks and filters. It runs in mount, network and PID namespaces of its own: all
 * that it makes, bridges and firewall rules included, is invisible outside and gone at its end.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { environment, type RunOptions, type RunResult, runSandbox } from './run.js';

/** How long libvirtd may take to answer, in milliseconds. */
const START_MS = 60_000;
const URI = 'qemu:///system';

/** The controllers of cgroup v1, which libvirt finds each at its usual mount point. */
const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids'];

/** Until this is there, it is another libvirtd of this host that answers. */
const PID_FILE = '/run/libvirt/private.pid';

/** It is there when a test has ended libvirtd. */
const ENDED = '/run/libvirt/private.ended';

const DAEMON = `libvirtd -f /run/libvirt/private.conf -p ${PID_FILE}`;

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
# Containers need it too.
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || rmdir /sys/fs/cgroup/systemd
virtlogd -p /run/libvirt/virtlogd.pid &
# Ordinary users may connect, as where polkit or a group lets them.
printf '%s\\n' 'auth_unix_rw = "none"' 'unix_sock_rw_perms = "0777"' >/run/libvirt/private.conf
# The namespaces outlive a libvirtd that a test kills, or ends.
exec tini -s -- sh -c '${DAEMON}; [ $? -lt 128 -a ! -e ${ENDED} ] || exec sleep infinity'
`;

export class PrivateLibvirt {
  readonly uri = URI;
  readonly #child: ChildProcess;
  readonly #stopped: Promise<void>;
  /** The end of its stderr. */
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.#stopped = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
  }

  /**
   * The caller must be root. End it with {@link end}.
   * @param prepare a script of sh that runs before libvirtd starts, in its namespaces, with further mounts
   */
  static async start(prepare = ''): Promise<PrivateLibvirt> {
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
    const child = spawn('unshare', [...namespaces, 'sh', '-euc', prepare + SCRIPT], {
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

  /** The words that run a command in its namespaces. */
  get through(): readonly string[] {
    return ['nsenter', '-t', String(this.#inside), '-m', '-n', '-p', '--'];
  }

  /** Runs a command there and returns its stdout; rejects if it fails. */
  async run(...command: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...this.through, ...command];
    const { stdout } = await promisify(execFile)(program, args, { env: environment(), timeout: 60_000 });
    return stdout;
  }

  virsh(...args: readonly string[]): Promise<string> {
    return this.run('virsh', '-q', '-c', URI, ...args);
  }

  /** Runs virsh with a file of this content as its last argument. */
  async virshFile(directory: string, command: string, content: string): Promise<string> {
    const file = join(directory, `${command}.xml`);
    writeFileSync(file, content);
    return this.virsh(command, file);
  }

  /** Kills libvirtd, which leaves its machines and containers running. */
  async killDaemon(): Promise<void> {
    await this.run('sh', '-c', `kill -9 $(cat ${PID_FILE})`);
  }

  /** Ends libvirtd in order, as systemd does before it starts it again. */
  async endDaemon(): Promise<void> {
    const wait = 'while kill -0 $pid 2>/dev/null; do sleep 0.05; done';
    await this.run('sh', '-c', `pid=$(cat ${PID_FILE}); touch ${ENDED}; kill $pid; ${wait}`);
  }

  /** Starts another libvirtd, when the one of the start was killed or ended. Resolves when it answers. */
  async restartDaemon(): Promise<void> {
    await this.run('sh', '-c', `rm -f ${PID_FILE}; setsid ${DAEMON} >/dev/null 2>&1 &`);
    await this.#answers();
  }

  /** Runs `virt-sandbox -c qemu:///system ARGS` there. */
  sandbox(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runSandbox(['-c', URI, ...args], { ...options, through: this.through });
  }

  /** Ends libvirtd and everything that was started in its namespaces. */
  async end(): Promise<void> {
    // The first process of a PID namespace takes all others with it.
    this.#child.kill('SIGKILL');
    await this.#stopped;
  }

  /** The first process in the namespaces: a child of the one that made them. */
  get #inside(): number {
    return this.#pid ?? 0;
  }

  #pid: number | undefined;

  async #answers(): Promise<void> {
    let why: unknown;
    for (const deadline = Date.now() + START_MS; Date.now() < deadline && this.#child.exitCode === null; ) {
      try {
        this.#pid ??= await childOf(this.#child.pid ?? 0);
        await this.run('test', '-e', PID_FILE);
        await this.virsh('list');
        return;
      } catch (error) {
        why = error;
        await sleep(100);
      }
    }
    throw new Error(`libvirtd does not answer: ${String(why)}\n${this.#stderr}`);
  }
}

async function childOf(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=', '--ppid', String(pid)]);
  return Number.parseInt(stdout, 10);
}

/** A reason to skip, or false if a private libvirtd can run here. */
export function unlessPrivateLibvirt(): string | false {
  if (process.geteuid?.() !== 0) return 'only root can make networks';
  const missing = ['/usr/sbin/libvirtd', '/usr/sbin/dnsmasq', '/dev/net/tun'].filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `there is no ${missing.join(', ')}`;
}
