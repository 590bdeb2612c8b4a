/**
 * Typed functions of libvirt.so, called through FFI. Calls that wait for a daemon run on a worker thread.
 *
 * https://libvirt.org/html/index.html documents the functions, and the numbers below.
 */
import koffi, { type LibraryHandle } from 'koffi';
import { messageOf, SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { EventLoop } from './event-loop.js';
import { declare, errorCallback, type Functions, lifecycleCallback, virError } from './functions.js';
import { daemonSockets, hangUp } from './hang-up.js';
import { ask, onWorker } from './worker-calls.js';

/** A pointer to a libvirt object. */
export type Handle = bigint;

export interface LibvirtError {
  /** virErrorNumber */
  readonly code: number;
  readonly message: string;
}

/** virDomainCreateFlags: destroy the domain when the connection closes. */
export const VIR_DOMAIN_START_AUTODESTROY = 2;
/** virDomainEventID */
export const VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0;
/** virDomainEventType */
export const VIR_DOMAIN_EVENT_STOPPED = 5;

/** virErrorNumber */
export const VIR_ERR_NO_DOMAIN = 42;
export const VIR_ERR_OPERATION_INVALID = 55;

type Lifecycle = (event: number, detail: number) => void;

/** The functions, by their C names without the prefix `vir`. */
export interface Library {
  /**
   * @param limit How long the daemon may take to answer, in milliseconds.
   * @returns the connection, or an error, or undefined if the daemon did not answer in time
   */
  connectOpen(uri: string, limit: number): Promise<{ connection: Handle } | { error: LibvirtError } | undefined>;
  connectClose(connection: Handle): Promise<void>;
  /** Version of the library itself: major * 1000000 + minor * 1000 + release. */
  version(): number;
  /** Version of the daemon's libvirt, as above; undefined if the daemon does not tell. */
  libraryVersion(connection: Handle): Promise<number | undefined>;
  lastError(connection: Handle): LibvirtError;
  capabilities(connection: Handle): Promise<string | null>;
  domainCreateXML(connection: Handle, xml: string, flags: number): Promise<Handle | null>;
  domainDestroy(domain: Handle): Promise<number>;
  domainFree(domain: Handle): void;
  /** For a container, the process ID of its controller, libvirt_lxc. 4294967295 if the domain does not run any more. */
  domainId(domain: Handle): number;
  /** The XML of a running domain; null if it has stopped. */
  domainXML(domain: Handle): Promise<string | null>;
  /**
   * Calls `listener` on the main thread for each lifecycle event of a domain, while the event loop runs. Returns how to
   * stop that.
   */
  onLifecycle(connection: Handle, domain: Handle, listener: Lifecycle): () => void;
  /**
   * Keeps libvirt's event loop running until the returned function is called. That one resolves when no thread is in
   * the loop.
   */
  holdEventLoop(): () => Promise<void>;
}

const OBJECT = 'libvirt.so.0';

let loaded: Library | undefined;

/** RTLD_NOW of dlopen(3). */
const RTLD_NOW = 2;

/**
 * Begins to load libvirt's objects, 65 of them, on a worker thread: {@link loadLibrary} waits for that, or finds them
 * loaded. What fails there it says.
 */
export function loadSoon(): void {
  if (loaded !== undefined) return;
  const open = koffi.load(null).func('dlopen', 'void *', ['str', 'int']);
  onWorker(open, OBJECT, RTLD_NOW).catch(() => {});
}

/**
 * Loads libvirt, once per process.
 *
 * @throws {SandboxError} `libvirt-missing`
 */
export function loadLibrary(): Library {
  loaded ??= new LoadedLibrary(loadObject());
  return loaded;
}

function loadObject(): LibraryHandle {
  try {
    return koffi.load(OBJECT);
  } catch (error) {
    throw new SandboxError({
      stage: 'libvirt',
      code: 'libvirt-missing',
      message: `libvirt.so.0 cannot be loaded: ${messageOf(error)}`,
      remedy: 'install libvirt (Debian: libvirt0 and libvirt-daemon-driver-qemu)',
      cause: error,
    });
  }
}

class LoadedLibrary implements Library {
  readonly #functions: Functions;
  readonly #events: EventLoop;
  /** The last error of any thread. */
  #anyError: LibvirtError | undefined;
  /** Settles when no connection is being opened. */
  #opening: Promise<unknown> = Promise.resolve();
  #connections = 0;

  constructor(so: LibraryHandle) {
    this.#functions = declare(so);
    this.#events = new EventLoop(this.#functions, so.symbol('virEventRemoveTimeout') as bigint);
    // If a connection cannot be opened there is no object to ask for the error, and libvirt keeps errors per thread.
    // This function gets the errors of all threads. It also keeps libvirt from printing to stderr.
    const onError = (_opaque: unknown, error: unknown) => {
      this.#anyError = decode(error);
    };
    this.#functions.setErrorFunc(null, koffi.register(onError, errorCallback));
  }

  async connectOpen(uri: string, limit: number) {
    let others: ReadonlySet<number> | undefined;
    const attempt = this.#opening.then(async () => {
      this.#anyError = undefined;
      this.#events.register();
      others = this.#connections === 0 ? new Set() : daemonSockets();
      const connection = await ask<Handle | null>(this.#functions.connectOpen, uri);
      if (!connection) return { error: this.#anyError ?? { code: 0, message: `cannot connect to ${uri}` } };
      this.#connections += 1;
      return { connection };
    });
    this.#opening = attempt.catch(() => {});
    if (await settlesWithin(attempt, limit)) return attempt;
    if (others) hangUp(others);
    // It may still have answered at the last moment.
    attempt
      .then((late) => (late.connection === undefined ? undefined : this.connectClose(late.connection)))
      .catch(() => {});
    return undefined;
  }

  async connectClose(connection: Handle): Promise<void> {
    await ask(this.#functions.connectClose, connection);
  }

  version(): number {
    const version: [number] = [0];
    return this.#functions.getVersion(version, null, null) === 0 ? Number(version[0]) : 0;
  }

  async libraryVersion(connection: Handle): Promise<number | undefined> {
    // Room for an unsigned long.
    const version = Buffer.alloc(8);
    const result = await ask<number>(this.#functions.getLibVersion, connection, version);
    return result < 0 ? undefined : Number(version.readBigUInt64LE());
  }

  lastError(connection: Handle): LibvirtError {
    return decode(this.#functions.connGetLastError(connection));
  }

  capabilities(connection: Handle): Promise<string | null> {
    return ask(this.#functions.capabilities, connection);
  }

  domainCreateXML(connection: Handle, xml: string, flags: number): Promise<Handle | null> {
    return ask(this.#functions.createXML, connection, xml, flags);
  }

  domainDestroy(domain: Handle): Promise<number> {
    return ask(this.#functions.destroy, domain);
  }

  domainFree(domain: Handle): void {
    this.#functions.free(domain);
  }

  domainId(domain: Handle): number {
    return Number(this.#functions.getID(domain));
  }

  domainXML(domain: Handle): Promise<string | null> {
    return ask(this.#functions.getXML, domain, 0);
  }

  onLifecycle(connection: Handle, domain: Handle, listener: Lifecycle): () => void {
    const callback = koffi.register((_c: unknown, _d: unknown, event: number, detail: number) => {
      listener(event, detail);
      return 0;
    }, lifecycleCallback);
    const { registerAny, deregisterAny } = this.#functions;
    const id = Number(registerAny(connection, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, null, null));
    return () => {
      if (id >= 0) deregisterAny(connection, id);
      koffi.unregister(callback);
    };
  }

  holdEventLoop(): () => Promise<void> {
    return this.#events.hold();
  }
}

function decode(raw: unknown): LibvirtError {
  const error: { code?: number; message?: string | null } = raw ? koffi.decode(raw, virError) : {};
  return { code: error.code ?? 0, message: error.message ?? 'libvirt gave no reason' };
}
