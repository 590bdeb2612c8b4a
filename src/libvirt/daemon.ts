/** libvirt's daemons, through libvirt.so: qemu:///system and qemu:///session. */
import { join } from 'node:path';
import { SandboxError } from '../errors.js';
import { mark } from '../marks.js';
import { settlesWithin } from '../promises.js';
import type { Connection, ConnectionKind, Domain, DomainStop, StartContext, StopReason } from './connection.js';
import { connectError, domainError } from './errors.js';
import {
  type Handle,
  type Library,
  loadLibrary,
  VIR_DOMAIN_EVENT_STOPPED,
  VIR_DOMAIN_START_AUTODESTROY,
  VIR_ERR_NO_DOMAIN,
  VIR_ERR_OPERATION_INVALID,
} from './library.js';
import { killQemu } from './qemu-process.js';
import { Supervisor } from './supervisor.js';

/** How long libvirt may take to notice that a QEMU is gone before the domain is destroyed the slow way, in milliseconds. */
const NOTICE_MS = 2000;

/**
 * @throws {SandboxError} `libvirt-missing`, `libvirt-unreachable`
 */
export async function connectDaemon(kind: Exclude<ConnectionKind, 'embedded'>): Promise<Connection> {
  const uri = `qemu:///${kind}`;
  const library = loadLibrary();
  const opened = await library.connectOpen(uri);
  if ('error' in opened) throw connectError(uri, opened.error.message);
  return new DaemonConnection(library, opened.connection, kind, uri);
}

class DaemonConnection implements Connection {
  readonly kind: Exclude<ConnectionKind, 'embedded'>;
  readonly uri: string;
  readonly #library: Library;
  readonly #connection: Handle;
  readonly #releaseEvents: () => Promise<void>;

  constructor(library: Library, connection: Handle, kind: Exclude<ConnectionKind, 'embedded'>, uri: string) {
    this.#library = library;
    this.#connection = connection;
    this.kind = kind;
    this.uri = uri;
    this.#releaseEvents = library.holdEventLoop();
  }

  async start(xml: string, { name, stateDirectory, terminal }: StartContext): Promise<Domain> {
    const supervising = Supervisor.start({
      directory: stateDirectory,
      ...(terminal === undefined ? {} : { terminal }),
    });
    const creating = this.#library.domainCreateXML(this.#connection, xml, VIR_DOMAIN_START_AUTODESTROY);
    const [supervisor, handle] = await Promise.all([supervising, creating]);
    if (!handle) {
      const { message } = this.#library.lastError(this.#connection);
      await supervisor.finish();
      throw domainError(name, message);
    }
    return new DaemonDomain(this.#library, this.#connection, handle, name, this.kind, supervisor);
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
  readonly #kind: Exclude<ConnectionKind, 'embedded'>;
  readonly #supervisor: Supervisor;
  #ended = false;

  constructor(
    library: Library,
    connection: Handle,
    handle: Handle,
    name: string,
    kind: Exclude<ConnectionKind, 'embedded'>,
    supervisor: Supervisor,
  ) {
    this.#library = library;
    this.#connection = connection;
    this.#handle = handle;
    this.#supervisor = supervisor;
    this.name = name;
    this.#kind = kind;
    this.stopped = new Promise((resolve) => {
      const stop = library.onLifecycle(connection, handle, (event, detail) => {
        if (event !== VIR_DOMAIN_EVENT_STOPPED) return;
        mark('domain.stopped');
        this.#ended = true;
        resolve({ reason: reasonOf(detail) });
        // Not from within the callback, which libvirt is still in.
        setImmediate(() => {
          stop();
          library.domainFree(handle);
        });
      });
    });
  }

  async end(politely: boolean): Promise<void> {
    try {
      await this.#endDomain(politely);
    } finally {
      await this.#supervisor.finish();
    }
  }

  async #endDomain(politely: boolean): Promise<void> {
    if (this.#ended) return;
    if (!politely && (await killQemu(this.#pidFile(), this.name)) && (await settlesWithin(this.stopped, NOTICE_MS)))
      return;
    if (this.#ended) return;
    const result = await this.#library.domainDestroy(this.#handle);
    if (result < 0 && !this.#ended) {
      const error = this.#library.lastError(this.#connection);
      if (error.code !== VIR_ERR_NO_DOMAIN && error.code !== VIR_ERR_OPERATION_INVALID) {
        throw new SandboxError({
          stage: 'domain',
          code: 'destroy-failed',
          message: `libvirt could not end domain ${this.name}: ${error.message}`,
          remedy: `end it with: virsh -c qemu:///${this.#kind} destroy ${this.name}`,
        });
      }
    }
    await settlesWithin(this.stopped, NOTICE_MS);
  }

  #pidFile(): string {
    if (this.#kind === 'system') return `/run/libvirt/qemu/${this.name}.pid`;
    const runtime = process.env['XDG_RUNTIME_DIR'] ?? join(process.env['HOME'] ?? '/', '.cache');
    return join(runtime, 'libvirt/qemu/run', `${this.name}.pid`);
  }
}

/** virDomainEventStoppedDetailType */
function reasonOf(detail: number): StopReason {
  const reasons: readonly StopReason[] = ['shutdown', 'destroyed', 'crashed', 'other', 'other', 'failed'];
  return reasons[detail] ?? 'other';
}
