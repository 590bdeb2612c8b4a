/** libvirt's daemons, through libvirt.so: qemu:///system, qemu:///session and lxc:///. */
import { join } from 'node:path';
import { SandboxError } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import { mark } from '../util/marks.js';
import { settlesWithin } from '../util/promises.js';
import {
  type Connection,
  type ConnectionKind,
  type Domain,
  type DomainStop,
  type StartContext,
  type StopReason,
  URI,
} from './connection.js';
import { killContainer, removeContainerFiles } from './container-process.js';
import { logOf, logsToCome, removeLogs, sizeOf } from './domain-logs.js';
import { connectError, domainError, silentError } from './errors.js';
import {
  type Handle,
  type Library,
  loadLibrary,
  VIR_DOMAIN_EVENT_STOPPED,
  VIR_DOMAIN_START_AUTODESTROY,
  VIR_ERR_NO_DOMAIN,
  VIR_ERR_OPERATION_INVALID,
} from './library.js';
import { failureOf } from './qemu-log.js';
import { killQemu, readPid } from './qemu-process.js';
import { Supervisor } from './supervisor.js';

/** How long libvirt may take to notice that a QEMU is gone before the domain is destroyed the slow way, in milliseconds. */
const NOTICE_MS = 2000;

/**
 * Whoever looks for a free loop device may find that another was quicker, and is to look again, as losetup(8) does. libvirt does not, for the images
 * of a container; its attempt is over before the container has begun. https://man7.org/linux/man-pages/man4/loop.4.html
 */
const LOOP_RACED = /to loop device: Device or resource busy/;
const LOOP_ATTEMPTS = 20;

/** How long a daemon may take to answer at first, in milliseconds. One that is started for it, of a session, is there in a tenth of a second. */
const ANSWER_MS = 10_000;

/** The ways that lead to a daemon. */
export type DaemonKind = Exclude<ConnectionKind, 'embedded'>;

/**
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

class DaemonConnection implements Connection {
  readonly kind: DaemonKind;
  readonly uri: string;
  readonly #library: Library;
  readonly #connection: Handle;
  readonly #releaseEvents: () => Promise<void>;
  /** Of domains that were started here and came to no good end: of whoever has the name next. */
  readonly #leftLogs = new Map<string, readonly string[]>();

  constructor(library: Library, connection: Handle, kind: DaemonKind, uri: string) {
    this.#library = library;
    this.#connection = connection;
    this.kind = kind;
    this.uri = uri;
    this.#releaseEvents = library.holdEventLoop();
  }

  async start(xml: string, { name, stateDirectory, terminal, calledOff }: StartContext): Promise<Domain> {
    const supervising = Supervisor.start({
      directory: stateDirectory,
      ...(terminal === undefined ? {} : { terminal }),
    });
    const logs = [...(this.#leftLogs.get(name) ?? []), ...logsToCome(this.kind, name, xml)];
    this.#leftLogs.set(name, logs);
    const log = logOf(this.kind, name);
    const earlier = sizeOf(log);
    const creating = this.#create(xml);
    const kill = () => {
      if (this.kind === 'lxc') return;
      supervising.then(
        (supervisor) => killQemu(supervisor, pidFileOf(this.kind, name), name, undefined),
        () => {},
      );
    };
    calledOff?.addEventListener('abort', kill, { once: true });
    const [supervisor, created] = await Promise.all([supervising, creating]);
    calledOff?.removeEventListener('abort', kill);
    if ('error' in created) {
      await supervisor.finish();
      throw domainError(name, await failureOf(created.error, log, earlier));
    }
    return new DaemonDomain(this.#library, this.#connection, created.handle, name, this.kind, supervisor, logs);
  }

  async qemuPid({ name }: Pick<StartContext, 'name'>): Promise<number | undefined> {
    return readPid(pidFileOf(this.kind, name));
  }

  async #create(xml: string): Promise<{ readonly handle: Handle } | { readonly error: string }> {
    for (let attempt = 1; ; attempt += 1) {
      const handle = await this.#library.domainCreateXML(this.#connection, xml, VIR_DOMAIN_START_AUTODESTROY);
      if (handle) return { handle };
      const { message } = this.#library.lastError(this.#connection);
      if (attempt === LOOP_ATTEMPTS || !LOOP_RACED.test(message)) return { error: message };
    }
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

class DaemonDomain implements Domain {
  readonly name: string;
  readonly stopped: Promise<DomainStop>;
  readonly #library: Library;
  readonly #connection: Handle;
  readonly #handle: Handle;
  readonly #kind: DaemonKind;
  readonly #supervisor: Supervisor;
  readonly #logs: readonly string[];
  #ended = false;
  /** Settles when no call is under way that uses the handle. */
  #asking: Promise<unknown> = Promise.resolve();

  constructor(
    library: Library,
    connection: Handle,
    handle: Handle,
    name: string,
    kind: DaemonKind,
    supervisor: Supervisor,
    logs: readonly string[],
  ) {
    this.#library = library;
    this.#connection = connection;
    this.#handle = handle;
    this.#supervisor = supervisor;
    this.name = name;
    this.#kind = kind;
    this.#logs = logs;
    this.stopped = new Promise((resolve) => {
      const stop = library.onLifecycle(connection, handle, (event, detail) => {
        if (event !== VIR_DOMAIN_EVENT_STOPPED) return;
        mark('domain.stopped');
        this.#ended = true;
        resolve({ reason: reasonOf(detail) });
        // Not from within the callback, which libvirt is still in.
        setImmediate(async () => {
          stop();
          await this.#asking;
          library.domainFree(handle);
        });
      });
    });
  }

  async consolePaths(): Promise<readonly string[]> {
    // Once it has stopped there is no handle to ask with.
    const xml = this.#ended ? null : await this.#ask(this.#library.domainXML(this.#handle));
    if (xml === null) {
      const reason = this.#ended ? 'it has ended' : this.#library.lastError(this.#connection).message;
      throw domainError(this.name, `its consoles are not known: ${reason}`);
    }
    return consolePathsIn(xml);
  }

  async destroy({ force }: { readonly force: boolean }): Promise<void> {
    try {
      await this.#endDomain(force);
      // libvirt's last word in it comes before it tells of the end. Where something went wrong it is kept: it may say what.
      if (force && this.#ended) await removeLogs(this.#logs);
    } finally {
      // Before the name is anybody else's.
      if (this.#kind === 'lxc') await removeContainerFiles(this.name);
      await this.#supervisor.finish();
    }
  }

  #ask<T>(call: Promise<T>): Promise<T> {
    this.#asking = Promise.allSettled([this.#asking, call]);
    return call;
  }

  async #endDomain(force: boolean): Promise<void> {
    if (this.#ended) return;
    if (force && (await this.#kill()) && (await settlesWithin(this.stopped, NOTICE_MS))) return;
    if (this.#ended) return;
    const result = await this.#ask(this.#library.domainDestroy(this.#handle));
    if (result < 0 && !this.#ended) {
      const error = this.#library.lastError(this.#connection);
      if (error.code !== VIR_ERR_NO_DOMAIN && error.code !== VIR_ERR_OPERATION_INVALID) {
        throw new SandboxError({
          stage: 'domain',
          code: 'destroy-failed',
          message: `libvirt could not end domain ${this.name}: ${error.message}`,
          remedy: `end it with: virsh -c ${URI[this.#kind]} destroy ${this.name}`,
        });
      }
    }
    await settlesWithin(this.stopped, NOTICE_MS);
  }

  /** True when its processes were killed, which is sooner than libvirt would end them: its own way takes 0.2 s, with a container 0.5 s. */
  async #kill(): Promise<boolean> {
    const id = this.#library.domainId(this.#handle);
    return this.#kind === 'lxc'
      ? killContainer(this.#supervisor, id, this.name)
      : killQemu(this.#supervisor, pidFileOf(this.#kind, this.name), this.name, `${id}-${shortName(this.name)}-fs`);
  }
}

/** What libvirt calls a domain in the names of some files: virDomainDefGetShortName in its source. */
function shortName(name: string): string {
  return [...name].slice(0, 20).join('');
}

/** Where libvirt's QEMU driver has the process ID of a QEMU. */
function pidFileOf(kind: DaemonKind, name: string): string {
  if (kind === 'system') return `/run/libvirt/qemu/${name}.pid`;
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? baseDirectory('XDG_CACHE_HOME');
  return join(runtime, 'libvirt/qemu/run', `${name}.pid`);
}

/** libvirt's own XML, in which a pseudo terminal's path needs no escapes. */
function consolePathsIn(xml: string): string[] {
  return [...xml.matchAll(/<console type='pty'[^>]*>\s*<source path='([^']*)'/g)].map(([, path = '']) => path);
}

/** virDomainEventStoppedDetailType */
function reasonOf(detail: number): StopReason {
  const reasons: readonly StopReason[] = ['shutdown', 'destroyed', 'crashed', 'other', 'other', 'failed'];
  return reasons[detail] ?? 'other';
}
