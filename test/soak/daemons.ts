/** The libvirtds of a soak. Runs may kill them, so they can be started again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { environment, type RunOptions } from '../helpers/run.js';

/** In milliseconds. */
const START_MS = 30_000;
const ANSWER_MS = 10_000;
const STOP_MS = 5_000;

/** How a command is run: as which user, and in which namespaces. */
export type How = Pick<RunOptions, 'through' | 'env' | 'cwd'>;

/** One daemon. */
export class Daemon {
  readonly #command: readonly string[];
  readonly #how: () => How;
  /** Asks it for something; rejects if it does not answer. */
  readonly #ask: () => Promise<unknown>;
  #child: ChildProcess | undefined;

  constructor(command: readonly string[], how: () => How, ask: () => Promise<unknown>) {
    this.#command = command;
    this.#how = how;
    this.#ask = ask;
  }

  /** Its PID; undefined if it does not run. `through` must execute the daemon. */
  get pid(): number | undefined {
    const child = this.#child;
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid;
  }

  /** Sees that it runs and answers: starts it if it has ended, and kills it first if it hangs. */
  async ensure(): Promise<void> {
    if (this.pid !== undefined && (await this.#answers())) return;
    await this.stop();
    const how = this.#how();
    const [program = '', ...args] = [...(how.through ?? []), ...this.#command];
    let said = '';
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment(how.env),
      cwd: how.cwd,
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    child.once('error', (error) => {
      said += error.message;
    });
    this.#child = child;
    for (const deadline = Date.now() + START_MS; Date.now() < deadline && this.pid !== undefined; await sleep(50)) {
      if (await this.#answers()) return;
    }
    throw new Error(`${this.#command.join(' ')} does not answer: ${said}`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  async #answers(): Promise<boolean> {
    return this.#ask().then(
      () => true,
      () => false,
    );
  }
}

/** Runs a command to its end, with a bound. @returns its stdout @throws if it fails */
async function ask(how: How, ...words: readonly string[]): Promise<string> {
  const [command = '', ...args] = [...(how.through ?? []), ...words];
  const options = { env: environment(how.env), cwd: how.cwd, timeout: ANSWER_MS, killSignal: 'SIGKILL' as const };
  return (await promisify(execFile)(command, args, options)).stdout;
}

/** Names of the domains of a libvirtd; rejects if it does not answer. */
async function domainNames(uri: string, how: How = {}): Promise<string[]> {
  const names = await ask(how, 'virsh', '-q', '-c', uri, 'list', '--all', '--name');
  return names.split('\n').filter((line) => line !== '');
}

/** Rejects if nobody accepts connections on a socket. One of a daemon that was killed stays. */
async function listening(path: string): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Of root. Each has a /run/libvirt of its own. */
const LIBVIRTD = ['libvirtd', '--pid-file', '/run/libvirt/libvirtd.pid'];

/** The daemons of a soak, by the connection that they serve. */
export class Daemons {
  readonly #user: How;
  readonly #holder: Daemon;
  readonly #system: readonly Daemon[];
  readonly #session: readonly Daemon[];
  readonly #lxc: readonly Daemon[];

  /**
   * @param user how a command is run as the ordinary user @param runtime that user's XDG_RUNTIME_DIR
   * @param lxcScript makes the mounts that libvirtd needs for containers
   */
  constructor(user: How, runtime: string, lxcScript: string) {
    this.#user = user;
    // The namespaces must not go with the libvirtd in them, or its containers could not be reached again.
    const script = `${lxcScript}\ntouch /run/libvirt/ready\nexec sleep infinity`;
    const unshare = ['unshare', '--mount', '--net', '--propagation', 'private'];
    this.#holder = new Daemon(
      [...unshare, 'sh', '-euc', script],
      () => ({}),
      async () => ask({ through: this.besideLxc }, 'test', '-e', '/run/libvirt/ready'),
    );
    const plain = () => ({});
    const beside = () => ({ through: this.besideLxc });
    const inside = () => ({ through: ['nsenter', '--mount', '--net', '--target', `${this.#holder.pid}`, '--'] });
    this.#system = [
      new Daemon(['virtlogd', '--pid-file', '/run/libvirt/virtlogd.pid'], plain, () =>
        listening('/run/libvirt/virtlogd-sock'),
      ),
      new Daemon(LIBVIRTD, plain, () => domainNames('qemu:///system')),
    ];
    this.#session = [
      new Daemon(
        ['virtlogd'],
        () => user,
        () => listening(`${runtime}/libvirt/virtlogd-sock`),
      ),
      new Daemon(
        ['libvirtd'],
        () => user,
        () => domainNames('qemu:///session', user),
      ),
    ];
    this.#lxc = [this.#holder, new Daemon(LIBVIRTD, inside, () => domainNames('lxc:///', beside()))];
  }

  /** The words that run a command where the libvirtd for containers is reached. */
  get besideLxc(): readonly string[] {
    return ['nsenter', '--mount', '--target', `${this.#holder.pid}`, '--'];
  }

  /** In whose namespaces that is; undefined before it is started. */
  get lxcHolder(): number | undefined {
    return this.#holder.pid;
  }

  /** Those that serve a URI: none for qemu:///embed. */
  #serving(uri: string): readonly Daemon[] {
    if (uri === 'qemu:///system') return this.#system;
    if (uri === 'qemu:///session') return this.#session;
    return uri === 'lxc:///' ? this.#lxc : [];
  }

  /** The libvirtd that serves a URI. */
  libvirtd(uri: string): number | undefined {
    return this.#serving(uri).at(-1)?.pid;
  }

  /** The virtlogd beside it. */
  virtlogd(uri: string): number | undefined {
    return uri === 'lxc:///' ? undefined : this.#serving(uri).at(0)?.pid;
  }

  /** Sees that those of a URI run. */
  async ensure(uri: string): Promise<void> {
    for (const daemon of this.#serving(uri)) await daemon.ensure();
  }

  #all(): readonly Daemon[] {
    return [...this.#system, ...this.#session, ...this.#lxc];
  }

  get pids(): readonly number[] {
    return this.#all().flatMap(({ pid }) => pid ?? []);
  }

  /** How a client of a URI is run. */
  how(uri: string): How {
    if (uri === 'lxc:///') return { through: this.besideLxc };
    return uri === 'qemu:///session' ? this.#user : {};
  }

  /** Names of the domains of a URI: none for qemu:///embed. */
  async domains(uri: string): Promise<readonly string[]> {
    return this.#serving(uri).length === 0 ? [] : domainNames(uri, this.how(uri));
  }

  /** Ends the domains of a URI, as cleaning up after a finding. */
  async destroyDomains(uri: string): Promise<void> {
    for (const name of await this.domains(uri)) {
      await ask(this.how(uri), 'virsh', '-q', '-c', uri, 'destroy', name).catch(() => {});
    }
  }

  async stop(): Promise<void> {
    for (const daemon of [...this.#all()].reverse()) await daemon.stop();
  }
}
