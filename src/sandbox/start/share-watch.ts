/**
 * Sees the end of a virtiofsd. QEMU does not tell, and a guest that uses the share hangs for ever: so does what waits
 * for the guest.
 *
 * libvirt starts virtiofsd, so it is no child of this process, and Node.js has no pidfd: its entry in /proc is looked at
 * twice a second. Looking costs less than 0.1 ms, and begins half a second after the start of the domain.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isVirtiofs } from '../../domain/shares.js';
import type { Domain } from '../../libvirt/connection.js';
import { SandboxError, valueOr } from '../../util/errors.js';
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
  /** The directory that it serves; undefined: it ended before it was seen. */
  readonly directory: string | undefined;
}

export class ShareWatch {
  /** Rejects when a virtiofsd has ended while it was watched: `virtiofsd-died`. */
  readonly failed: Promise<never>;
  readonly #shares: readonly WatchedShare[];
  readonly #failure = deferred<never>();
  #timer: NodeJS.Timeout | undefined;
  readonly #servers = new Map<number, Server>();

  constructor(shares: readonly WatchedShare[]) {
    this.#shares = shares;
    this.failed = this.#failure.promise;
    // Callers may ignore this promise.
    this.failed.catch(() => {});
  }

  /** Begins to watch the servers of a domain that was started. Does nothing for one without such shares. */
  begin(domain: Pick<Domain, 'shareServers'>): void {
    if (this.#shares.length === 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#look(domain), INTERVAL_MS).unref();
  }

  /** Does not watch any more. A server that ends from now on ends with its QEMU. */
  end(): void {
    clearInterval(this.#timer);
  }

  async #look(domain: Pick<Domain, 'shareServers'>): Promise<void> {
    // libvirt's embedded driver is still starting them when the domain counts as started.
    if (this.#servers.size < this.#shares.length) {
      for (const pid of await domain.shareServers()) {
        if (!this.#servers.has(pid)) this.#servers.set(pid, serverOf(pid));
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

function serverOf(pid: number): Server {
  const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
  const at = words.indexOf('--shared-dir');
  return { pid, started: startedAt(pid), directory: at < 0 ? undefined : words[at + 1] };
}

/** A server that is not seen is dead only if this user sees other users' processes (hidepid of proc(5)). */
function isAlive({ pid, started }: Server): boolean {
  if (started === '') return !existsSync('/proc/1/stat');
  return startedAt(pid) === started;
}

/** When a process was started, in clock ticks after the boot: field 22 of proc_pid_stat(5). Empty: it has ended. */
function startedAt(pid: number): string {
  const stat = valueOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? '' : (fields[18] ?? '');
}

function diedError(targets: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'virtiofsd-died',
    message: `virtiofsd of ${targets.join(' or ')} died, and with it the mount`,
    remedy: "see its messages in libvirt's log NAME-fs0-virtiofsd.log, and dmesg if it was killed for lack of memory",
  });
}
