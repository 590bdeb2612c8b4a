/** An ordinary user with a home, a runtime directory and the libvirtd that libvirt starts for a session. */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { copyCapabilities, copyFacts } from './cache.js';
import { domainsOf, type WhereLeft } from './leftovers.js';
import { PROGRAM, REPOSITORY, type RunOptions } from './run.js';

/** A user and a group. */
interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** nobody and nogroup: libvirt's daemon crashes for a user that the host does not know. */
const NOBODY: Account = { uid: 65_534, gid: 65_534 };
/** Debian's daemon, for tests to which nobody is also the number of what a user namespace does not have. */
export const DAEMON: Account = { uid: 1, gid: 1 };
/** A supplementary group. */
const GROUP = 54_323;

export class OrdinaryUser {
  readonly uid: number;
  readonly gid: number;
  readonly group = GROUP;
  readonly home: string;
  /** How virt-sandbox is run as this user. */
  readonly options: RunOptions;

  private constructor({ uid, gid }: Account, directory: string, program: string) {
    this.uid = uid;
    this.gid = gid;
    this.home = directory;
    const env = {
      HOME: this.home,
      USER: undefined,
      LOGNAME: undefined,
      XDG_RUNTIME_DIR: join(directory, 'run'),
      XDG_CACHE_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
    };
    const through = ['setpriv', `--reuid=${this.uid}`, `--regid=${this.gid}`, `--groups=${this.group}`, '--'];
    this.options = { program, env, through, cwd: directory };
  }

  /**
   * The caller must be root. End it with {@link end}.
   *
   * The store is the one that scripts/test.mjs has baked a snapshot for, if it has: so sandboxes need not boot.
   * @param options `emptyStore`: a store of its own, without any image, as each account but the usual one needs
   */
  static async create({ emptyStore = false, account = NOBODY } = {}): Promise<OrdinaryUser> {
    const directory = mkdtempSync(join(tmpdir(), 'vs-'));
    chmodSync(directory, 0o755);
    mkdirSync(join(directory, 'run'), { mode: 0o700 });
    copyFacts(join(directory, '.cache/virt-sandbox'));
    copyCapabilities(join(directory, '.cache'));
    if (!emptyStore) linkStore(directory);
    execFileSync('chown', ['-hR', `${account.uid}:${account.gid}`, directory]);
    return new OrdinaryUser(account, directory, await programFor(account, directory));
  }

  /** The directory of this user's boot images. */
  get store(): string {
    return storeIn(this.home);
  }

  /** For assertNothingLeft. */
  get where(): WhereLeft {
    const { through = [], env = {} } = this.options;
    return {
      state: this.home,
      domains: () => domainsOf('qemu:///session', through, env),
      logs: join(this.home, '.cache/libvirt/qemu/log'),
    };
  }

  /** Ends the daemons that libvirt started for this user, and removes the home. */
  async end(): Promise<void> {
    const directory = join(this.home, 'run/libvirt');
    const files = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.pid')) : [];
    for (const file of files) await endDaemon(Number.parseInt(readFileSync(join(directory, file), 'utf8'), 10));
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

function storeIn(home: string): string {
  return join(home, '.cache/virt-sandbox/images');
}

/** Gives a home the store that scripts/test.mjs has baked a snapshot for, if it has. */
export function linkStore(home: string): void {
  const shared = process.env['VIRT_SANDBOX_TEST_USER_STORE'];
  if (shared === undefined) return;
  mkdirSync(dirname(storeIn(home)), { recursive: true });
  symlinkSync(shared, storeIn(home));
}

async function endDaemon(pid: number): Promise<void> {
  const isThere = () => {
    try {
      // A PID file may be stale, and the PID may belong to another process by now.
      return /libvirtd|virtlogd/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      return false;
    }
  };
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isThere()) return;
    process.kill(pid, signal);
    for (let tries = 0; tries < 50 && isThere(); tries += 1) await sleep(100);
  }
}

/**
 * A path of the program that this user can reach. If only root can enter the repository, installs the program below
 * `directory`.
 */
async function programFor({ uid }: Account, directory: string): Promise<string> {
  try {
    execFileSync('setpriv', [`--reuid=${uid}`, '--clear-groups', 'test', '-r', `${REPOSITORY}dist/native/init`]);
    return PROGRAM;
  } catch {
    const prefix = join(directory, 'prefix');
    await promisify(execFile)('make', ['install', `PREFIX=${prefix}`], { cwd: REPOSITORY });
    return join(prefix, 'bin/virt-sandbox');
  }
}

/** A reason to skip, or false if sandboxes can run as another user here. */
export function unlessOrdinaryUser(): string | false {
  if (process.geteuid?.() !== 0) return 'only root can become another user';
  return existsSync('/usr/sbin/libvirtd') ? false : 'there is no libvirtd to be started for a session';
}
