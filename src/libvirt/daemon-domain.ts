/** A domain that a daemon of libvirt runs. */
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { settlesWithin } from '../util/promises.js';
import { type DaemonKind, type Domain, type DomainStop, type StopReason, URI } from './connection.js';
import { killContainer, removeContainerFiles } from './container-process.js';
import { removeLogs } from './domain-logs.js';
import { domainError } from './errors.js';
import {
  type Handle,
  type Library,
  VIR_DOMAIN_EVENT_STOPPED,
  VIR_ERR_NO_DOMAIN,
  VIR_ERR_OPERATION_INVALID,
} from './library.js';
import { daemonPidFile, killQemu, seesQemu, shareServerPids } from './qemu-process.js';
import type { Supervisor } from './supervisor.js';

/**
 * How long libvirt may take to notice that a QEMU is gone, in milliseconds. After that the domain is destroyed the slow
 * way.
 */
const NOTICE_MS = 2000;

/** What {@link DaemonDomain} needs to manage a domain. */
export interface StartedDomain {
  readonly library: Library;
  readonly connection: Handle;
  readonly handle: Handle;
  readonly name: string;
  readonly kind: DaemonKind;
  readonly supervisor: Supervisor;
  /** Paths of the logs to remove. */
  readonly logs: readonly string[];
}

export class DaemonDomain implements Domain {
  readonly stopped: Promise<DomainStop>;
  readonly #started: StartedDomain;
  #ended = false;
  /** Settles when no call is using the handle. */
  #asking: Promise<unknown> = Promise.resolve();

  constructor(started: StartedDomain) {
    this.#started = started;
    const { library, connection, handle } = started;
    this.stopped = new Promise((resolve) => {
      const stop = library.onLifecycle(connection, handle, (event, detail) => {
        // libvirt may report the end twice: of a container that fails while it is destroyed.
        if (event !== VIR_DOMAIN_EVENT_STOPPED || this.#ended) return;
        mark('domain.stopped');
        this.#ended = true;
        resolve({ reason: reasonOf(detail) });
        // Not within the callback, which libvirt is still running.
        setImmediate(async () => {
          stop();
          await this.#asking;
          library.domainFree(handle);
        });
      });
    });
  }

  get name(): string {
    return this.#started.name;
  }

  async consolePaths(): Promise<readonly string[]> {
    // When the domain has stopped, the handle is freed.
    const { library, connection, handle } = this.#started;
    const xml = this.#ended ? null : await this.#ask(library.domainXML(handle));
    if (xml === null) {
      const reason = this.#ended ? 'it has ended' : library.lastError(connection).message;
      throw domainError(this.name, `its consoles are not known: ${reason}`);
    }
    return consolePathsIn(xml);
  }

  async shareServers(): Promise<readonly number[]> {
    const { library, handle, name, kind } = this.#started;
    if (this.#ended || kind === 'lxc') return [];
    return shareServerPids(daemonPidFile(kind, name), serverPrefix(library.domainId(handle), name));
  }

  async seesQemu(): Promise<boolean> {
    const { name, kind } = this.#started;
    return kind !== 'lxc' && seesQemu(daemonPidFile(kind, name), name);
  }

  async destroy({ force }: { readonly force: boolean }): Promise<void> {
    const { kind, logs, supervisor } = this.#started;
    try {
      await this.#endDomain(force);
      // libvirt writes to the logs before it reports the end. If something went wrong they are kept, since they may say
      // what.
      if (force && this.#ended) await removeLogs(logs);
    } finally {
      // While the name is still this domain's.
      if (kind === 'lxc') await removeContainerFiles(this.name);
      await supervisor.finish();
    }
  }

  /** Tracks a call that uses the handle, so that the handle is not freed meanwhile. */
  #ask<T>(call: Promise<T>): Promise<T> {
    this.#asking = Promise.allSettled([this.#asking, call]);
    return call;
  }

  async #endDomain(force: boolean): Promise<void> {
    if (this.#ended) return;
    const isKilled = force && (await this.#kill());
    if (isKilled && (await settlesWithin(this.stopped, NOTICE_MS))) return;
    if (this.#ended) return;
    const { library, connection, handle, kind } = this.#started;
    const result = await this.#ask(library.domainDestroy(handle));
    if (result < 0 && !this.#ended) {
      const error = library.lastError(connection);
      if (error.code !== VIR_ERR_NO_DOMAIN && error.code !== VIR_ERR_OPERATION_INVALID) {
        throw new SandboxError({
          stage: 'domain',
          code: 'destroy-failed',
          ...(isKilled
            ? {
                message: `domain ${this.name} has ended, and libvirt does not know it: ${error.message}`,
                remedy: 'start its daemon again, which forgets the domain then',
              }
            : {
                message: `libvirt could not end domain ${this.name}: ${error.message}`,
                remedy: `end it with: virsh -c ${URI[kind]} destroy ${this.name}`,
              }),
        });
      }
    }
    await settlesWithin(this.stopped, NOTICE_MS);
  }

  /**
   * Kills the domain's processes. libvirt's own way takes 0.2 s, for a container 0.5 s. Returns false if they could not
   * be killed.
   */
  async #kill(): Promise<boolean> {
    const { library, handle, name, kind, supervisor } = this.#started;
    const id = library.domainId(handle);
    return kind === 'lxc'
      ? killContainer(supervisor, id, name)
      : killQemu(supervisor, daemonPidFile(kind, name), name, serverPrefix(id, name));
  }
}

/** Start of the names of the PID files of a domain's virtiofsd. */
function serverPrefix(id: number, name: string): string {
  return `${id}-${shortName(name)}-fs`;
}

/** The domain's name in some file names: virDomainDefGetShortName in libvirt's source. */
function shortName(name: string): string {
  return [...name].slice(0, 20).join('');
}

/** Paths of pseudo-terminals in a domain's XML. libvirt's paths need no unescaping. */
function consolePathsIn(xml: string): string[] {
  return [...xml.matchAll(/<console type='pty'[^>]*>\s*<source path='([^']*)'/g)].map(([, path = '']) => path);
}

/** Translates a virDomainEventStoppedDetailType. */
function reasonOf(detail: number): StopReason {
  const reasons: readonly StopReason[] = ['shutdown', 'destroyed', 'crashed', 'other', 'other', 'failed'];
  return reasons[detail] ?? 'other';
}
