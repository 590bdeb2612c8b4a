/**
 * A systemd of an ordinary user, as `systemd --user` is after a login. It has a control group of its own, and in the
 * mount namespace that it runs in /run has nothing but the generator of services: what is there on a host that systemd
 * has not booted depends on what has run before, down to /run/systemd.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { uniqueName } from './leftovers.js';
import type { OrdinaryUser } from './ordinary-user.js';
import { type RunOptions, type RunResult, runSandbox } from './run.js';

const SYSTEMD = '/usr/lib/systemd/systemd';

/** Between two looks, in milliseconds. */
const LOOK_MS = 50;

/** What systemd is to be there in, in milliseconds. */
const PATIENCE_MS = 60_000;

/** $1: name of the control group, $2: the user, $3: the generator, $4: where its process ID goes; then how it runs. */
const SCRIPT = `
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/$1
mkdir "$group"
chown "$2" "$group" "$group"/cgroup.{procs,threads,subtree_control}
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/{system,user-generators}
ln -s "$3" /run/systemd/user-generators
pid=$4
shift 4
(
  echo $BASHPID >"$group"/cgroup.procs
  exec unshare --cgroup bash -ec 'umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
    pid=$1; shift; echo $$ >$pid; exec "$@"' bash "$pid" "$@"
) && status=0 || status=$?
while [ -e "$group" ]; do
  echo 1 >"$group"/cgroup.kill
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
done
exit $status
`;

/** A reason to skip, or false if there is a systemd that can run here. */
export function unlessUserSystemd(): string | false {
  if (!existsSync(SYSTEMD)) return 'there is no systemd';
  const hasGroups = readFileSync('/proc/filesystems', 'utf8').includes('\tcgroup2\n');
  return hasGroups ? false : 'this kernel has no control groups of version 2';
}

export class UserSystemd {
  readonly #user: OrdinaryUser;
  readonly #child: ChildProcess;
  readonly #pid: number;
  readonly #ended: Promise<unknown>;

  private constructor(user: OrdinaryUser, child: ChildProcess, pid: number) {
    this.#user = user;
    this.#child = child;
    this.#pid = pid;
    this.#ended = new Promise((resolve) => child.once('close', resolve));
  }

  /** The caller must be root. End it with {@link end}, before the user. */
  static async start(user: OrdinaryUser): Promise<UserSystemd> {
    const { through = [], env = {}, program = '' } = user.options;
    const file = join(user.home, 'systemd.pid');
    const generator = join(dirname(program), 'virt-sandbox-service-generator');
    const words = [...through, 'env', '-i', `HOME=${user.home}`, `XDG_RUNTIME_DIR=${env['XDG_RUNTIME_DIR']}`];
    const given = [uniqueName(), String(user.uid), generator, file];
    const systemd = [`PATH=${process.env['PATH']}`, SYSTEMD, '--user', '--unit=basic.target', '--log-target=null'];
    const child = spawn('unshare', ['--mount', 'bash', '-ec', SCRIPT, 'bash', ...given, ...words, ...systemd], {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const socket = join(user.home, 'run/systemd/private');
    for (const end = Date.now() + PATIENCE_MS; !existsSync(socket); await sleep(LOOK_MS))
      if (child.exitCode !== null || Date.now() > end) throw new Error('the systemd of a user does not start');
    return new UserSystemd(user, child, Number(readFileSync(file, 'utf8')));
  }

  /** How a program runs beside it. */
  get options(): RunOptions {
    const { through = [], ...options } = this.#user.options;
    return { ...options, through: ['nsenter', `--target=${this.#pid}`, '--mount', '--cgroup', '--', ...through] };
  }

  systemctl(...words: readonly string[]): Promise<RunResult> {
    return runSandbox(['--user', ...words], { ...this.options, program: 'systemctl' });
  }

  /** Waits until properties of a unit are so. */
  async until(
    unit: string,
    names: readonly string[],
    holds: (found: Readonly<Record<string, string>>) => boolean,
  ): Promise<Readonly<Record<string, string>>> {
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(LOOK_MS)) {
      const found = await this.facts(unit, names);
      if (holds(found)) return found;
      if (Date.now() > end) throw new Error(`after ${PATIENCE_MS} ms it is ${JSON.stringify(found)}`);
    }
  }

  /** What `systemctl show` says. */
  async facts(unit: string, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { out } = await this.systemctl('show', `--property=${names.join(',')}`, unit);
    const lines = out.trimEnd().split('\n');
    return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]));
  }

  /** Processes in the control group of a unit, by their names. */
  async processes(unit: string): Promise<string[]> {
    const { ControlGroup } = await this.facts(unit, ['ControlGroup']);
    const read = `for pid in $(cat /sys/fs/cgroup${ControlGroup}/cgroup.procs); do cat /proc/$pid/comm; done`;
    const { out } = await runSandbox(['-c', read], { ...this.options, program: 'sh' });
    return out.trimEnd().split('\n');
  }

  /** A file of the control group of a unit. */
  async fileOf(unit: string, file: string): Promise<string> {
    const { ControlGroup } = await this.facts(unit, ['ControlGroup']);
    const { out } = await runSandbox([`/sys/fs/cgroup${ControlGroup}/${file}`], { ...this.options, program: 'cat' });
    return out;
  }

  /** Ends it as a logout does: what runs after that is killed. */
  async end(): Promise<void> {
    try {
      process.kill(this.#pid, 'SIGTERM');
    } finally {
      if (this.#child.exitCode === null) await this.#ended;
    }
  }
}
