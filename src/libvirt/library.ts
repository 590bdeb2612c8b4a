/**
 * libvirt.so through FFI: the functions that are used, typed. Calls that wait for a daemon run on a worker thread.
 *
 * https://libvirt.org/html/index.html documents each function and the numbers below.
 */
import koffi, { type KoffiFunc } from 'koffi';
import { messageOf, SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { daemonSockets, hangUp } from './hang-up.js';

/** A pointer that only libvirt looks into. */
export type Handle = bigint;

export interface LibvirtError {
  /** virErrorNumber */
  readonly code: number;
  readonly message: string;
}

/** virDomainCreateFlags: the domain is destroyed when the connection that made it closes. */
export const VIR_DOMAIN_START_AUTODESTROY = 2;
/** virDomainEventID */
export const VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0;
/** virDomainEventType */
export const VIR_DOMAIN_EVENT_STOPPED = 5;

/** virErrorNumber */
export const VIR_ERR_NO_DOMAIN = 42;
export const VIR_ERR_OPERATION_INVALID = 55;

type NativeFunction = KoffiFunc<(...args: unknown[]) => unknown>;

type Lifecycle = (event: number, detail: number) => void;

/** The functions, with their C names less the prefix. */
export interface Library {
  /**
   * @param limit how long the daemon may take to answer, in milliseconds
   * @returns the connection, the reason why there is none, or undefined when the limit has passed
   */
  connectOpen(uri: string, limit: number): Promise<{ connection: Handle } | { error: LibvirtError } | undefined>;
  connectClose(connection: Handle): Promise<void>;
  /** Of the library itself: major * 1000000 + minor * 1000 + release. */
  version(): number;
  /** Of the libvirt at the connection's other end; undefined where it does not say. */
  libraryVersion(connection: Handle): Promise<number | undefined>;
  lastError(connection: Handle): LibvirtError;
  capabilities(connection: Handle): Promise<string | null>;
  domainCreateXML(connection: Handle, xml: string, flags: number): Promise<Handle | null>;
  domainDestroy(domain: Handle): Promise<number>;
  domainFree(domain: Handle): void;
  /** For a container the process ID of its controller, libvirt_lxc; 4294967295 where it does not run any more. */
  domainId(domain: Handle): number;
  /** The XML of a domain as it runs; null where there is none any more. */
  domainXML(domain: Handle): Promise<string | null>;
  /** Calls back for each lifecycle event of one domain, on the main thread, while the event loop runs. */
  onLifecycle(connection: Handle, domain: Handle, listener: Lifecycle): () => void;
  /** Keeps libvirt's event loop running until the returned function is called; that resolves when no thread is in it any more. */
  holdEventLoop(): () => Promise<void>;
}

let loaded: Library | undefined;

/**
 * libvirt, loaded once a process.
 * @throws {SandboxError} `libvirt-missing`
 */
export function loadLibrary(): Library {
  loaded ??= load();
  return loaded;
}

function load(): Library {
  let so: ReturnType<typeof koffi.load>;
  try {
    so = koffi.load('libvirt.so.0');
  } catch (error) {
    throw new SandboxError({
      stage: 'libvirt',
      code: 'libvirt-missing',
      message: `libvirt.so.0 cannot be loaded: ${messageOf(error)}`,
      remedy: 'install libvirt (Debian: libvirt0 and libvirt-daemon-driver-qemu)',
      cause: error,
    });
  }
  const virError = koffi.struct({
    code: 'int',
    domain: 'int',
    message: 'char *',
    level: 'int',
    conn: 'void *',
    dom: 'void *',
    str1: 'char *',
    str2: 'char *',
    str3: 'char *',
    int1: 'int',
    int2: 'int',
    net: 'void *',
  });
  const virErrorFunc = koffi.pointer(koffi.proto('void', ['void *', koffi.pointer(virError)]));
  const lifecycleFunc = koffi.pointer(koffi.proto('int', ['void *', 'void *', 'int', 'int', 'void *']));

  const functions = {
    setErrorFunc: so.func('virSetErrorFunc', 'void', ['void *', virErrorFunc]),
    connectOpen: so.func('virConnectOpen', 'void *', ['str']),
    connectClose: so.func('virConnectClose', 'int', ['void *']),
    getVersion: so.func('virGetVersion', 'int', [koffi.out(koffi.pointer('unsigned long')), 'str', 'void *']),
    getLibVersion: so.func('virConnectGetLibVersion', 'int', ['void *', 'void *']),
    connGetLastError: so.func('virConnGetLastError', koffi.pointer(virError), ['void *']),
    // The caller has to free the text; it is asked for once a process, if at all.
    capabilities: so.func('virConnectGetCapabilities', 'str', ['void *']),
    createXML: so.func('virDomainCreateXML', 'void *', ['void *', 'str', 'unsigned int']),
    destroy: so.func('virDomainDestroy', 'int', ['void *']),
    free: so.func('virDomainFree', 'int', ['void *']),
    getID: so.func('virDomainGetID', 'unsigned int', ['void *']),
    getXML: so.func('virDomainGetXMLDesc', koffi.disposable('str'), ['void *', 'unsigned int']),
    registerDefaultImpl: so.func('virEventRegisterDefaultImpl', 'int', []),
    runDefaultImpl: so.func('virEventRunDefaultImpl', 'int', []),
    addTimeout: so.func('virEventAddTimeout', 'int', ['int', 'void *', 'void *', 'void *']),
    registerAny: so.func('virConnectDomainEventRegisterAny', 'int', [
      'void *',
      'void *',
      'int',
      lifecycleFunc,
      'void *',
      'void *',
    ]),
    deregisterAny: so.func('virConnectDomainEventDeregisterAny', 'int', ['void *', 'int']),
  };

  const decode = (error: unknown) => toError(error ? koffi.decode(error, virError) : undefined);

  // A connection that could not be opened has no object to ask for its error, and libvirt keeps errors per thread; the error function
  // is told of it whatever the thread. It also keeps libvirt from printing to stderr by itself.
  let openError: LibvirtError | undefined;
  const onError = (_opaque: unknown, error: unknown) => {
    openError = decode(error);
  };
  functions.setErrorFunc(null, koffi.register(onError, virErrorFunc));

  const connectClose = async (connection: Handle): Promise<void> => {
    await ask(functions.connectClose, connection);
  };
  let opening: Promise<unknown> = Promise.resolve();
  let connections = 0;
  const events = eventLoop(
    functions,
    so.symbol('virEventRemoveTimeout') as bigint,
    koffi.load(null).func('_exit', 'void', ['int']),
  );
  return {
    async connectOpen(uri, limit) {
      let others: ReadonlySet<number> | undefined;
      const attempt = opening.then(async () => {
        openError = undefined;
        events.register();
        others = connections === 0 ? new Set() : daemonSockets();
        const connection = await ask<Handle | null>(functions.connectOpen, uri);
        if (!connection) return { error: openError ?? { code: 0, message: `cannot connect to ${uri}` } };
        connections += 1;
        return { connection };
      });
      opening = attempt.catch(() => {});
      if (await settlesWithin(attempt, limit)) return attempt;
      if (others) hangUp(others);
      // It may have answered at the last moment.
      attempt
        .then((late) => (late.connection === undefined ? undefined : connectClose(late.connection)))
        .catch(() => {});
      return undefined;
    },
    connectClose,
    version() {
      const version: [number] = [0];
      return functions.getVersion(version, null, null) === 0 ? Number(version[0]) : 0;
    },
    async libraryVersion(connection) {
      // An unsigned long.
      const version = Buffer.alloc(8);
      const result = await ask<number>(functions.getLibVersion, connection, version);
      return result < 0 ? undefined : Number(version.readBigUInt64LE());
    },
    lastError: (connection) => decode(functions.connGetLastError(connection)),
    capabilities: (connection) => ask(functions.capabilities, connection),
    domainCreateXML: (connection, xml, flags) => ask(functions.createXML, connection, xml, flags),
    domainDestroy: (domain) => ask(functions.destroy, domain),
    domainFree: (domain) => void functions.free(domain),
    domainId: (domain) => Number(functions.getID(domain)),
    domainXML: (domain) => ask(functions.getXML, domain, 0),
    onLifecycle(connection, domain, listener) {
      const callback = koffi.register((_c: unknown, _d: unknown, event: number, detail: number) => {
        listener(event, detail);
        return 0;
      }, lifecycleFunc);
      const id = Number(functions.registerAny(connection, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, null, null));
      return () => {
        if (id >= 0) functions.deregisterAny(connection, id);
        koffi.unregister(callback);
      };
    },
    holdEventLoop: events.hold,
  };
}

/** libvirt's default event loop, one iteration at a time on a worker thread while somebody wants it. */
function eventLoop(
  functions: Record<'registerDefaultImpl' | 'runDefaultImpl' | 'addTimeout', NativeFunction>,
  removeTimeout: bigint,
  leave: NativeFunction,
) {
  let registered = false;
  let wanted = 0;
  let running: Promise<void> | undefined;
  const wake = () => functions.addTimeout(0, removeTimeout, null, null);
  // Node waits for its worker threads when it exits, so the one that waits here must be told, however that comes.
  process.on('exit', (code) => {
    if (running) wake();
    // A daemon that never answers would hold the exit up for good. The connection ends with the process, and its domain with that.
    if (unanswered > 0) leave(code);
  });
  const run = async () => {
    while (wanted > 0) await onWorker(functions.runDefaultImpl);
    running = undefined;
  };
  return {
    /** Must come before the first connection is opened. */
    register() {
      if (!registered) functions.registerDefaultImpl();
      registered = true;
    },
    hold() {
      wanted += 1;
      running ??= run();
      return async () => {
        wanted -= 1;
        if (wanted > 0) return;
        // A timer that is due ends the iteration that waits. It removes itself by libvirt's own function: a callback into JavaScript would
        // need the main thread, which may be on its way out of the process and waiting for this one.
        wake();
        await running;
      };
    },
  };
}

/** Calls to a daemon that have not come back. */
let unanswered = 0;

/** A call that waits for a daemon. */
async function ask<T>(fn: NativeFunction, ...args: unknown[]): Promise<T> {
  unanswered += 1;
  try {
    return await onWorker<T>(fn, ...args);
  } finally {
    unanswered -= 1;
  }
}

function onWorker<T>(fn: NativeFunction, ...args: unknown[]): Promise<T> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: Error | null, value: unknown) => (error ? reject(error) : resolve(value as T)));
  });
}

function toError(raw: unknown): LibvirtError {
  const { code, message } = (raw ?? {}) as { code?: number; message?: string | null };
  return { code: code ?? 0, message: message ?? 'libvirt gave no reason' };
}
