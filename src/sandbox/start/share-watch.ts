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

/** How often it is looked, in milliseconds. */
const INTERVAL_MS = 500;

/** A share that virtiofsd serves. */
export interface WatchedShare {
  /** Directory of the host. */
  readonly directory: string;
  /** Where it is mounted inside. */
  readonly target: string;
}

/** The shares of a machine that virtiofsd serves. */
export function watchedShares({ shares, mounts }: Pick<Devices, 'shares' | 'mounts'>): WatchedShare[] {
  return shares.filter(isVirtiofs).map(({ tag, directory }) => {
    const mount = mounts.find(({ share }) => share?.tag === tag);
    return { directory, target: mount?.guest.target ?? '/' };
  });
}

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
  begin(domain: Pick<Domain, 'shareServers'>): void {
    if (this.#shares.length === 0 || this.#timer !== undefined || this.#isOver) return;
    this.#timer = setInterval(() => void this.#look(domain), INTERVAL_MS).unref();
  }

  /** Does not watch any more. A server that ends from now on ends with its QEMU. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  async #look(domain: Pick<Domain, 'shareServers'>): Promise<void> {
    // libvirt's embedded driver is still starting them when the domain counts as started.
    if (this.#servers.size < this.#shares.length) {
      for (const pid of await domain.shareServers()) {
        const server = this.#servers.has(pid) ? undefined : serverOf(pid);
        if (server !== undefined) this.#servers.set(pid, server);
      }
    }
    const dead = [...this.#servers.values()].find((server) => !isAlive(server));
    if (dead === undefined) return;
    this.end();
    this.#failure.reject(diedError(this.#targetsOf(dead)));
  }

  #targetsOf({ directory }: Server): readonly string[] {
    const served = this.#shares.filter((share) => share.directory === directory);
    return (served.length > 0 ? served : this.#shares).map(({ target }) => target);
  }
}

/**
 * Undefined for one that is not seen to run. The daemon may have its process IDs from elsewhere, or hide its processes
 * (hidepid of proc(5)). One that ended before it was seen has no mount, so the start fails.
 */
function serverOf(pid: number): Server | undefined {
  const started = startedAt(pid);
  if (started === undefined || started === ENDED) return undefined;
  const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
  const at = words.indexOf('--shared-dir');
  return { pid, started, directory: at < 0 ? undefined : words[at + 1] };
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
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ESRCH')) return ENDED;
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

function diedError(targets: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'virtiofsd-died',
    message: `virtiofsd of ${targets.join(' or ')} died, and with it the mount`,
    remedy: "see its messages in libvirt's log NAME-fs0-virtiofsd.log, and dmesg if it was killed for lack of memory",
  });
}
