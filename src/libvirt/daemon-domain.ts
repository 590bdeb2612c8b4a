/** A domain that a daemon of libvirt runs. */
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { settlesWithin } from '../util/promises.js';
import {
  type DaemonKind,
  type DestroyOptions,
  type Domain,
  type DomainStop,
  type StopReason,
  URI,
} from './connection.js';
import { killContainer, removeContainerFiles } from './container-process.js';
import { removeLogs } from './domain-logs.js';
import type { DomainStops } from './domain-stops.js';
import { domainError } from './errors.js';
import { daemonPidFile, killQemu, seesQemu, shareServerPids } from './qemu-process.js';
import { CallError, type DaemonClient, VIR_ERR_NO_DOMAIN, VIR_ERR_OPERATION_INVALID } from './rpc/client.js';
import type { DomainReference } from './rpc/messages.js';
import type { Supervisor } from './supervisor.js';

/**
 * How long libvirt may take to notice that a QEMU is gone, in milliseconds. After that the domain is destroyed the slow
 * way.
 */
const NOTICE_MS = 2000;

/** What {@link DaemonDomain} needs to manage a domain. */
export interface StartedDomain {
  readonly client: DaemonClient;
  readonly domain: DomainReference;
  /** Has listened since before the domain was created. */
  readonly stops: DomainStops;
  readonly kind: DaemonKind;
  readonly supervisor: Supervisor;
  /** Paths of the logs to remove. */
  readonly logs: readonly string[];
}

export class DaemonDomain implements Domain {
  readonly stopped: Promise<DomainStop>;
  readonly #started: StartedDomain;
  #ended = false;

  constructor(started: StartedDomain) {
    this.#started = started;
    this.stopped = started.stops.of(started.domain).then((detail) => {
      mark('domain.stopped');
      this.#ended = true;
      return { reason: reasonOf(detail) };
    });
  }

  get name(): string {
    return this.#started.domain.name;
  }

  get controller(): number | undefined {
    const { domain, kind } = this.#started;
    return kind === 'lxc' ? domain.id : undefined;
  }

  async consolePaths(): Promise<readonly string[]> {
    const { client, domain } = this.#started;
    try {
      return consolePathsIn(await client.domainXml(domain));
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      throw domainError(this.name, `its consoles are not known: ${this.#ended ? 'it has ended' : error.message}`);
    }
  }

  async shareServers(): Promise<readonly number[]> {
    const { domain, kind } = this.#started;
    if (this.#ended || kind === 'lxc') return [];
    return shareServerPids(daemonPidFile(kind, this.name), serverPrefix(domain));
  }

  async seesQemu(): Promise<boolean> {
    const { kind } = this.#started;
    return kind !== 'lxc' && seesQemu(daemonPidFile(kind, this.name), this.name);
  }

  async suspend(): Promise<void> {
    const { client, domain } = this.#started;
    await this.#saying('suspend', client.suspendDomain(domain));
  }

  async resume(): Promise<void> {
    const { client, domain } = this.#started;
    await this.#saying('resume', client.resumeDomain(domain));
  }

  async #saying(what: 'suspend' | 'resume', call: Promise<void>): Promise<void> {
    try {
      await call;
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      throw new SandboxError({
        stage: 'domain',
        code: `${what}-failed`,
        message: `libvirt could not ${what} domain ${this.name}: ${error.message}`,
        remedy: `try it with: virsh -c ${URI[this.#started.kind]} ${what} ${this.name}`,
        cause: error,
      });
    }
  }

  async destroy({ force, keepLogs = !force }: DestroyOptions): Promise<void> {
    const { kind, logs, supervisor } = this.#started;
    try {
      await this.#endDomain(force);
      // libvirt writes to the logs before it reports the end.
      if (!keepLogs && this.#ended) await removeLogs(logs);
    } finally {
      // While the name is still this domain's.
      if (kind === 'lxc') await removeContainerFiles(this.name);
      await supervisor.finish();
    }
  }

  async #endDomain(force: boolean): Promise<void> {
    if (this.#ended) return;
    const isKilled = force && (await this.#kill());
    if (isKilled && (await settlesWithin(this.stopped, NOTICE_MS))) return;
    if (this.#ended) return;
    const { client, domain, kind } = this.#started;
    try {
      await client.destroyDomain(domain);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (!this.#ended && error.code !== VIR_ERR_NO_DOMAIN && error.code !== VIR_ERR_OPERATION_INVALID) {
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
    const { domain, kind, supervisor } = this.#started;
    return kind === 'lxc'
      ? killContainer(supervisor, domain.id, this.name)
      : killQemu(supervisor, daemonPidFile(kind, this.name), this.name, serverPrefix(domain));
  }
}

/** Start of the names of the PID files of a domain's virtiofsd. */
function serverPrefix({ id, name }: DomainReference): string {
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
