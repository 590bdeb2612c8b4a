/** Connections to libvirt's daemons: qemu:///system, qemu:///session and lxc:///. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreSandboxError, messageOf, SandboxError, valueOr } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { CONTAINER_FLAG, type Connection, type DaemonKind, type Domain, type StartContext, URI } from './connection.js';
import { removeContainerFiles } from './container-process.js';
import { DaemonDomain } from './daemon-domain.js';
import { logOf, newLogs, serverLogs, sizeOf } from './domain-logs.js';
import { DomainStops } from './domain-stops.js';
import { domainError } from './errors.js';
import { GroupMoves } from './group-moves.js';
import { openDaemon } from './open-daemon.js';
import { OutlivingDomain } from './outliving-domain.js';
import { failureOf } from './qemu-log.js';
import { daemonPidFile, killQemu, readPid } from './qemu-process.js';
import { CallError, type DaemonClient, VIR_ERR_RPC } from './rpc/client.js';
import type { DomainReference } from './rpc/messages.js';
import { Supervisor } from './supervisor.js';

/**
 * libvirt found a free loop device for a container's image, but another process took it first. losetup(8) tries again
 * in this case; libvirt does not, so it is done here. The container has not started yet then.
 * https://man7.org/linux/man-pages/man4/loop.4.html
 */
const LOOP_RACED = /to loop device: Device or resource busy/;
const LOOP_ATTEMPTS = 20;

/**
 * Connects to a daemon.
 *
 * @throws {SandboxError} `libvirt-unreachable`, `libvirt-silent`
 */
export async function connectDaemon(kind: DaemonKind): Promise<Connection> {
  return new DaemonConnection(await openDaemon(kind), kind);
}

/**
 * How long the command that comes before the domain may take, in milliseconds. It mounts file systems, in a moment.
 */
const BEFORE_MS = 10_000;

/** How soon a start follows its connection where nothing has to be built, in milliseconds. */
const SOON_MS = 100;

/** How long libvirt takes to move a machine's processes, in milliseconds. A slower one waits as it would without this. */
const CREATE_MS = 500;

/** A domain, or why there is none: libvirt's words, or an error as it is. */
type Created =
  | { readonly domain: DomainReference; readonly stops: DomainStops }
  /** `isLost`: libvirt has not answered. */
  | { readonly error: Failure; readonly isLost: boolean };
type Failure = string | SandboxError;

class DaemonConnection implements Connection {
  readonly kind: DaemonKind;
  readonly uri: string;
  readonly #client: DaemonClient;
  readonly #moves = new GroupMoves();
  /** Logs of domains that failed to start or to end well, by name. The next domain with that name removes them. */
  readonly #keptLogs = new Map<string, readonly string[]>();

  constructor(client: DaemonClient, kind: DaemonKind) {
    this.#client = client;
    this.kind = kind;
    this.uri = URI[kind];
    this.#expectMoves(SOON_MS);
  }

  /** libvirt moves the processes of root's machines to control groups; a container's moves are quick anyway. */
  #expectMoves(milliseconds: number): void {
    if (this.kind === 'system') this.#moves.keepQuick(milliseconds);
  }

  async start(
    xml: string,
    { name, stateDirectory, before, sources, terminal, cancelled, outlivesDaemon = false }: StartContext,
  ): Promise<Domain> {
    this.#expectMoves(CREATE_MS);
    const supervising = Supervisor.start({
      directory: stateDirectory,
      ...(before === undefined ? {} : { command: before }),
      ...(terminal === undefined ? {} : { terminal }),
    });
    const logs = [...(this.#keptLogs.get(name) ?? []), ...newLogs(this.kind, name, xml)];
    this.#keptLogs.set(name, logs);
    const log = logOf(this.kind, name);
    const earlier = sizeOf(log);
    const servers = new Map(serverLogs(this.kind, name, xml).map((path) => [path, sizeOf(path)]));
    const failing = before === undefined ? undefined : supervising.then((it) => failureBefore(it, before));
    const outliving = outlivesDaemon ? new OutlivingDomain(this.kind, { name, stateDirectory }) : undefined;
    const ready = outliving === undefined ? failing : expecting(outliving, supervising, failing);
    const creating = this.#createAfter(ready, xml, !outlivesDaemon);
    // It is looked at when there is a supervisor, or none.
    creating.catch(() => {});
    const kill = () => {
      if (this.kind === 'lxc') return;
      supervising.then(
        (supervisor) => killQemu(supervisor, daemonPidFile(this.kind, name), name, undefined),
        () => {},
      );
    };
    cancelled?.addEventListener('abort', kill, { once: true });
    const supervisor = await supervising.catch(async (error: unknown) => {
      await this.#undo(name, await creating.catch(() => undefined));
      throw error;
    });
    const created = await creating;
    this.#moves.end();
    cancelled?.removeEventListener('abort', kill);
    if ('error' in created) {
      await outliving?.failed(supervisor, created.isLost);
      try {
        if (created.error instanceof SandboxError) throw created.error;
        if (created.isLost) throw daemonLost(this.uri, name, created.error);
        const message = await failureOf(created.error, log, earlier, servers);
        const serverLogs = [...servers].flatMap(([path, from]) => (sizeOf(path) > from ? [path] : []));
        const error = domainError(name, message, { xml, sources, serverLogs });
        // What libvirt has under that name is another container's: the supervisor need not wait until it is gone.
        if (error.code === 'name-in-use') valueOr(() => rmSync(join(stateDirectory, CONTAINER_FLAG)), undefined);
        throw error;
      } finally {
        // Why there is no domain counts more than what is left.
        await ignoreSandboxError(supervisor.finish());
      }
    }
    await outliving?.started(supervisor, created.domain.id);
    return new DaemonDomain({
      client: this.#client,
      domain: created.domain,
      stops: created.stops,
      kind: this.kind,
      supervisor,
      logs,
    });
  }

  async qemuPid({ name }: Pick<StartContext, 'name'>): Promise<number | undefined> {
    return readPid(daemonPidFile(this.kind, name));
  }

  /** @param failing why the command that comes before has failed; undefined: it has not */
  async #createAfter(
    failing: Promise<Failure | undefined> | undefined,
    xml: string,
    endsWithConnection: boolean,
  ): Promise<Created> {
    const error = await failing;
    return error === undefined ? this.#create(xml, endsWithConnection) : { error, isLost: false };
  }

  async #create(xml: string, endsWithConnection: boolean): Promise<Created> {
    const stops = new DomainStops(this.#client);
    try {
      return { domain: await this.#createDomain(xml, endsWithConnection), stops };
    } catch (error) {
      stops.end();
      if (error instanceof CallError) return { error: error.message, isLost: error.code === VIR_ERR_RPC };
      throw error;
    }
  }

  async #createDomain(xml: string, endsWithConnection: boolean): Promise<DomainReference> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#client.createDomain(xml, endsWithConnection);
      } catch (error) {
        if (attempt === LOOP_ATTEMPTS || !LOOP_RACED.test(messageOf(error))) throw error;
      }
    }
  }

  /** Ends a domain that has no supervisor. The end of the connection would, too, and leave files of a container. */
  async #undo(name: string, created: Created | undefined): Promise<void> {
    if (created === undefined || 'error' in created) return;
    created.stops.end();
    const isEnded = await this.#client.destroyDomain(created.domain).then(
      () => true,
      () => false,
    );
    // Else the name may be another container's by now.
    if (isEnded && this.kind === 'lxc') await removeContainerFiles(name);
  }

  readonly capabilities = async (): Promise<string> => {
    try {
      return await this.#client.capabilities();
    } catch (error) {
      throw new SandboxError({
        stage: 'libvirt',
        code: 'capabilities-unknown',
        message: `${this.uri} does not say what it can do: ${messageOf(error)}`,
        remedy: `see what virsh -c ${this.uri} capabilities says`,
        cause: error,
      });
    }
  };

  async version(): Promise<number | undefined> {
    try {
      return await this.#client.libraryVersion();
    } catch (error) {
      if (error instanceof CallError) return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#moves.end();
    this.#client.close();
  }
}

function daemonLost(uri: string, name: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'libvirt-lost',
    message: `libvirt did not start domain ${name}: ${why}`,
    remedy: `see that it answers (virsh -c ${uri} list), then try again; its log may say why it ended`,
  });
}

/** Has the supervisor know of the domain before libvirt does. @returns why it is not to be started */
async function expecting(
  outliving: OutlivingDomain,
  supervising: Promise<Supervisor>,
  failing: Promise<Failure | undefined> | undefined,
): Promise<Failure | undefined> {
  const failure = await failing;
  if (failure !== undefined) return failure;
  const supervisor = await supervising;
  try {
    await outliving.expect(supervisor);
    return undefined;
  } catch (error) {
    if (error instanceof SandboxError) return error;
    throw error;
  }
}

/**
 * Waits for the command that comes before the domain. One that does not end within {@link BEFORE_MS} is ended with its
 * supervisor: somebody has stopped one of them.
 */
async function failureBefore(supervisor: Supervisor, [program = '']: readonly string[]): Promise<Failure | undefined> {
  if (!(await settlesWithin(supervisor.commandExited, BEFORE_MS))) {
    await ignoreSandboxError(supervisor.finish());
    return new SandboxError({
      stage: 'domain',
      code: 'before-silent',
      message: `${program}, which prepares the sandbox, did not end within ${BEFORE_MS / 1000} s`,
      remedy: 'find out whether somebody stops processes here, or a file system does not answer, and start it again',
    });
  }
  const exit = await supervisor.commandExited;
  if ('lost' in exit) return exit.lost;
  return exit.status === 0 ? undefined : exit.stderr;
}
