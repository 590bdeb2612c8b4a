/**
 * Sees the end of a virtiofsd. QEMU does not tell, and a guest that uses the share hangs for ever: so does what waits
 * for the guest.
 *
 * libvirt starts virtiofsd, so it is no child of this process, and Node.js has no pidfd: its entry in /proc is looked at
 * twice a second. Looking costs less than 0.1 ms, and begins half a second after the start of the domain.
 */
import { readFileSync } from 'node:fs';
import { isVirtiofs } from '../../domain/shares.js';
import type { Domain } from '../../libvirt/connection.js';
import { isSystemError, SandboxError, valueOr } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import type { Devices } from '../devices/devices.js';
import { type AheadServer, aheadServer } from '../devices/root-server.js';

/** How often it is looked, in milliseconds. */
const INTERVAL_MS = 500;

/** A share that virtiofsd serves. */
export interface WatchedShare {
  /** Directory of the host. */
  readonly directory: string;
  /** Where it is mounted inside. */
  readonly target: string;
  /** What serves it; undefined: libvirt knows. */
  readonly server?: AheadServer | undefined;
}

/** The shares of a machine that virtiofsd serves. */
export function watchedShares({ shares, mounts }: Pick<Devices, 'shares' | 'mounts'>): WatchedShare[] {
  return shares.filter(isVirtiofs).map((served) => {
    const mount = mounts.find(({ share }) => share?.tag === served.tag);
    return { directory: served.directory, target: mount?.guest.target ?? '/', server: aheadServer(served) };
  });
}

type WatchedDomain = Pick<Domain, 'shareServers' | 'seesQemu'>;

/** A virtiofsd that was seen alive. */
interface Server {
  readonly pid: number;
  /** With the PID, it identifies the process. */
  readonly started: string;
  /** The directory that it serves; undefined if that is not known. */
  readonly directory: string | undefined;
}

export class ShareWatch {
  /** Rejects when a virtiofsd has ended while it was watched: `virtiofsd-died`. */
  readonly failed: Promise<never>;
  readonly #shares: readonly WatchedShare[];
  readonly #failure = deferred<never>();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  readonly #servers = new Map<number, Server>();

  constructor(shares: readonly WatchedShare[]) {
    this.#shares = shares;
    this.failed = this.#failure.promise;
    // Callers may ignore this promise.
    this.failed.catch(() => {});
  }

  /** Begins to watch the servers of a domain that was started. Does nothing for one without such shares. */
  begin(domain: WatchedDomain): void {
    if (this.#shares.length === 0 || this.#timer !== undefined || this.#isOver) return;
    this.#timer = setInterval(() => void this.#look(domain), INTERVAL_MS).unref();
  }

  /** Does not watch any more. A server that ends from now on ends with its QEMU. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  async #look(domain: WatchedDomain): Promise<void> {
    // libvirt's embedded driver is still starting them when the domain counts as started.
    const ended = this.#isComplete ? [] : await this.#meet(domain);
    const died = [...this.#servers.values()].find((server) => !isAlive(server));
    if (died === undefined) {
      // One that was never seen to run has died if its QEMU is seen: its process ID is not one of elsewhere then. Where
      // all servers run, the file is one that an earlier domain of that name left.
      if (ended.length === 0 || this.#isComplete || !(await domain.seesQemu())) return;
    }
    if (this.#isOver) return;
    this.end();
    this.#failure.reject(diedError(this.#sharesOf(died)));
  }

  /** Whether all servers were seen to run. */
  get #isComplete(): boolean {
    return this.#servers.size >= this.#shares.length;
  }

  /** Gets to know the servers that run. @returns the process IDs of those that have ended, or are elsewhere */
  async #meet(domain: WatchedDomain): Promise<number[]> {
    const ended: number[] = [];
    const ahead = this.#shares.flatMap(({ server, directory }) => {
      const pid = server?.pid();
      return pid === undefined ? [] : [{ pid, directory }];
    });
    for (const { pid, directory } of [
      ...ahead,
      ...(await domain.shareServers()).map((one) => ({ pid: one, directory: undefined })),
    ]) {
      if (this.#servers.has(pid)) continue;
      const started = startedAt(pid);
      if (started === ENDED) ended.push(pid);
      else if (started !== undefined)
        this.#servers.set(pid, { pid, started, directory: directory ?? directoryOf(pid) });
    }
    return ended;
  }

  /** The shares of a server, or of one that was never seen to run. */
  #sharesOf(died: Server | undefined): readonly WatchedShare[] {
    const known = new Set([...this.#servers.values()].map(({ directory }) => directory));
    const served = this.#shares.filter(({ directory }) =>
      died === undefined ? !known.has(directory) : died.directory === directory,
    );
    return served.length > 0 ? served : this.#shares;
  }
}

/** Whether there is a process with this ID, whoever's it is. */
function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (isSystemError(error)) return error.code !== 'ESRCH';
    throw error;
  }
}

/** The directory that a virtiofsd serves; undefined if that is not known. */
function directoryOf(pid: number): string | undefined {
  const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
  const at = words.indexOf('--shared-dir');
  return at < 0 ? undefined : words[at + 1];
}

/** What cannot be looked at may be alive: this process may have no descriptor left. */
function isAlive({ pid, started }: Server): boolean {
  const now = startedAt(pid);
  return now === undefined || now === started;
}

/** In place of the time when a process was started. */
const ENDED = 'ended';

/**
 * When a process was started, in clock ticks after the boot: field 22 of proc_pid_stat(5). Undefined if that cannot be
 * read.
 */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? ENDED : fields[18];
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const isMissing = error.code === 'ENOENT' || error.code === 'ESRCH';
    // The entry of one that runs may be hidden: hidepid of proc(5).
    return isMissing && !isThere(pid) ? ENDED : undefined;
  }
}

function diedError(shares: readonly WatchedShare[]): SandboxError {
  const targets = shares.map(({ target }) => target).join(' or ');
  const words = shares.flatMap(({ server }) => server?.lastWords() ?? []);
  // The root has a server of its own, and no virtiofsd.
  const what = shares.every(({ target }) => target === '/') ? 'the server' : 'virtiofsd';
  const ofLibvirt = shares.some(({ server }) => server === undefined);
  return new SandboxError({
    stage: 'application',
    code: 'virtiofsd-died',
    message: `${what} of ${targets} died, and with it the mount${words.length === 0 ? '' : `: ${words.join('; ')}`}`,
    remedy: `${ofLibvirt ? "see its messages in libvirt's log NAME-fs0-virtiofsd.log, and " : 'see '}dmesg if it was killed for lack of memory`,
  });
}
