/** Connections to libvirt's daemons through libvirt.so: qemu:///system, qemu:///session and lxc:///. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreSandboxError, SandboxError, valueOr } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { CONTAINER_FLAG, type Connection, type DaemonKind, type Domain, type StartContext, URI } from './connection.js';
import { removeContainerFiles } from './container-process.js';
import { DaemonDomain } from './daemon-domain.js';
import { logOf, newLogs, sizeOf } from './domain-logs.js';
import { connectError, domainError, silentError } from './errors.js';
import { type Handle, type Library, loadLibrary, VIR_DOMAIN_START_AUTODESTROY } from './library.js';
import { failureOf } from './qemu-log.js';
import { daemonPidFile, killQemu, readPid } from './qemu-process.js';
import { Supervisor } from './supervisor.js';

/**
 * libvirt found a free loop device for a container's image, but another process took it first. losetup(8) tries again
 * in this case; libvirt does not, so it is done here. The container has not started yet then.
 * https://man7.org/linux/man-pages/man4/loop.4.html
 */
const LOOP_RACED = /to loop device: Device or resource busy/;
const LOOP_ATTEMPTS = 20;

/**
 * How long a daemon may take to accept a connection, in milliseconds. Even a session daemon that is started for it
 * takes only 100.
 */
const ANSWER_MS = 10_000;

/**
 * Connects to a daemon.
 *
 * @throws {SandboxError} `libvirt-missing`, `libvirt-unreachable`, `libvirt-silent`
 */
export async function connectDaemon(kind: DaemonKind): Promise<Connection> {
  const uri = URI[kind];
  const library = loadLibrary();
  const opened = await library.connectOpen(uri, ANSWER_MS);
  if (opened === undefined) throw silentError(uri, ANSWER_MS);
  if ('error' in opened) throw connectError(uri, opened.error.message);
  return new DaemonConnection(library, opened.connection, kind, uri);
}

/**
 * How long the command that comes before the domain may take, in milliseconds. It mounts file systems, in a moment.
 */
const BEFORE_MS = 10_000;

/** A domain, or why there is none: libvirt's words, or an error as it is. */
type Created = { readonly handle: Handle } | { readonly error: Failure };
type Failure = string | SandboxError;

class DaemonConnection implements Connection {
  readonly kind: DaemonKind;
  readonly uri: string;
  readonly #library: Library;
  readonly #connection: Handle;
  readonly #releaseEvents: () => Promise<void>;
  /** Logs of domains that failed to start or to end well, by name. The next domain with that name removes them. */
  readonly #keptLogs = new Map<string, readonly string[]>();

  constructor(library: Library, connection: Handle, kind: DaemonKind, uri: string) {
    this.#library = library;
    this.#connection = connection;
    this.kind = kind;
    this.uri = uri;
    this.#releaseEvents = library.holdEventLoop();
  }

  async start(
    xml: string,
    { name, stateDirectory, before, sources, terminal, cancelled }: StartContext,
  ): Promise<Domain> {
    const supervising = Supervisor.start({
      directory: stateDirectory,
      ...(before === undefined ? {} : { command: before }),
      ...(terminal === undefined ? {} : { terminal }),
    });
    const logs = [...(this.#keptLogs.get(name) ?? []), ...newLogs(this.kind, name, xml)];
    this.#keptLogs.set(name, logs);
    const log = logOf(this.kind, name);
    const earlier = sizeOf(log);
    const failing = before === undefined ? undefined : supervising.then((it) => failureBefore(it, before));
    const creating = this.#createAfter(failing, xml);
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
    cancelled?.removeEventListener('abort', kill);
    if ('error' in created) {
      try {
        if (created.error instanceof SandboxError) throw created.error;
        const error = domainError(name, await failureOf(created.error, log, earlier), { xml, sources });
        // What libvirt has under that name is another container's: the supervisor need not wait until it is gone.
        if (error.code === 'name-in-use') valueOr(() => rmSync(join(stateDirectory, CONTAINER_FLAG)), undefined);
        throw error;
      } finally {
        // Why there is no domain counts more than what is left.
        await ignoreSandboxError(supervisor.finish());
      }
    }
    return new DaemonDomain({
      library: this.#library,
      connection: this.#connection,
      handle: created.handle,
      name,
      kind: this.kind,
      supervisor,
      logs,
    });
  }

  async qemuPid({ name }: Pick<StartContext, 'name'>): Promise<number | undefined> {
    return readPid(daemonPidFile(this.kind, name));
  }

  /** @param failing why the command that comes before has failed; undefined: it has not */
  async #createAfter(failing: Promise<Failure | undefined> | undefined, xml: string): Promise<Created> {
    const error = await failing;
    return error === undefined ? this.#create(xml) : { error };
  }

  async #create(xml: string): Promise<Created> {
    for (let attempt = 1; ; attempt += 1) {
      const handle = await this.#library.domainCreateXML(this.#connection, xml, VIR_DOMAIN_START_AUTODESTROY);
      if (handle) return { handle };
      const { message } = this.#library.lastError(this.#connection);
      if (attempt === LOOP_ATTEMPTS || !LOOP_RACED.test(message)) return { error: message };
    }
  }

  /** Ends a domain that has no supervisor. The end of the connection would, too, and leave files of a container. */
  async #undo(name: string, created: Created | undefined): Promise<void> {
    if (created === undefined || 'error' in created) return;
    const isEnded = (await this.#library.domainDestroy(created.handle)) === 0;
    this.#library.domainFree(created.handle);
    // Else the name may be another container's by now.
    if (isEnded && this.kind === 'lxc') await removeContainerFiles(name);
  }

  readonly capabilities = async (): Promise<string> => {
    const xml = await this.#library.capabilities(this.#connection);
    if (xml !== null) return xml;
    const { message } = this.#library.lastError(this.#connection);
    throw new SandboxError({
      stage: 'libvirt',
      code: 'capabilities-unknown',
      message: `${this.uri} does not say what it can do: ${message}`,
      remedy: `see what virsh -c ${this.uri} capabilities says`,
    });
  };

  version(): Promise<number | undefined> {
    return this.#library.libraryVersion(this.#connection);
  }

  async close(): Promise<void> {
    await this.#library.connectClose(this.#connection);
    await this.#releaseEvents();
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
