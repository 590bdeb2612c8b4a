/** A connection to a daemon of libvirt, which runs one driver for it. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { messageOf } from '../../util/errors.js';
import {
  AUTH_NONE,
  AUTH_POLKIT,
  callBytes,
  type DomainReference,
  EVENT,
  type Message,
  MessageReader,
  OK,
  PROCEDURE,
  REMOTE_PROGRAM,
  REPLY,
  readDomain,
  writeDomain,
} from './messages.js';
import { XdrReader, XdrWriter } from './xdr.js';

/** virErrorNumber, of those that are told apart here. */
export const VIR_ERR_OPERATION_INVALID = 55;
export const VIR_ERR_NO_DOMAIN = 42;
/** The connection is gone. */
export const VIR_ERR_RPC = 39;

/** virDomainEventID */
const LIFECYCLE = 0;
/** virDomainEventType */
export const VIR_DOMAIN_EVENT_STOPPED = 5;
/** REMOTE_AUTH_TYPE_LIST_MAX */
const MOST_TYPES = 20;
/** virDomainCreateFlags: destroy the domain when the connection ends. */
const AUTODESTROY = 2;

/** A call that failed: the daemon's words, or why it has none. */
export class CallError extends Error {
  /** virErrorNumber */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

type Lifecycle = (domain: DomainReference, event: number, detail: number) => void;

interface Pending {
  readonly resolve: (answer: Message) => void;
  readonly reject: (error: CallError) => void;
}

/**
 * One connection. Calls are answered in the order in which the daemon is done with them. It is not asked for
 * keepalives, so a launcher that is stopped for long keeps its domains.
 */
export class DaemonClient {
  readonly #socket: Socket;
  readonly #messages = new MessageReader();
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<Lifecycle>();
  #serial = 0;
  /** Why no more calls are answered. */
  #gone: CallError | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(messageOf(error)));
    socket.on('close', () => this.#end('the daemon has closed the connection'));
  }

  /**
   * Connects to the socket at `path` and opens the driver that `uri` names.
   * @param cancelled ends the attempt
   * @throws {NodeJS.ErrnoException} if nobody listens there, or this user may not connect
   * @throws {CallError} if the daemon refuses, or the attempt was ended
   */
  static async open(path: string, uri: string, cancelled: AbortSignal): Promise<DaemonClient> {
    const socket = connectSocket(path);
    const hangUp = () => socket.destroy(new CallError(VIR_ERR_RPC, 'the daemon did not answer in time'));
    cancelled.addEventListener('abort', hangUp, { once: true });
    try {
      if (cancelled.aborted) hangUp();
      await once(socket, 'connect');
      const client = new DaemonClient(socket);
      await client.#authenticate();
      await client.#call(PROCEDURE.connectOpen, new XdrWriter().int(1).string(uri).int(0), nothing);
      // Events of all domains: of which one they tell, they say.
      await client.#call(PROCEDURE.registerEvent, new XdrWriter().int(LIFECYCLE).int(0), nothing);
      return client;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      cancelled.removeEventListener('abort', hangUp);
    }
  }

  capabilities(): Promise<string> {
    return this.#call(PROCEDURE.capabilities, new XdrWriter(), (answer) => answer.string());
  }

  /** Version of the daemon's libvirt: major * 1000000 + minor * 1000 + release. */
  libraryVersion(): Promise<number> {
    return this.#call(PROCEDURE.libraryVersion, new XdrWriter(), (answer) => Number(answer.long()));
  }

  /** Starts a transient domain. @param endsWithConnection it is destroyed when the connection ends */
  createDomain(xml: string, endsWithConnection: boolean): Promise<DomainReference> {
    const flags = endsWithConnection ? AUTODESTROY : 0;
    return this.#call(PROCEDURE.domainCreateXml, new XdrWriter().string(xml).int(flags), readDomain);
  }

  async destroyDomain(domain: DomainReference): Promise<void> {
    await this.#call(PROCEDURE.domainDestroy, writeDomain(new XdrWriter(), domain), nothing);
  }

  /** Keeps a domain from running. */
  async suspendDomain(domain: DomainReference): Promise<void> {
    await this.#call(PROCEDURE.domainSuspend, writeDomain(new XdrWriter(), domain), nothing);
  }

  async resumeDomain(domain: DomainReference): Promise<void> {
    await this.#call(PROCEDURE.domainResume, writeDomain(new XdrWriter(), domain), nothing);
  }

  /** The XML of a running domain. */
  domainXml(domain: DomainReference): Promise<string> {
    return this.#call(PROCEDURE.domainXml, writeDomain(new XdrWriter(), domain).int(0), (answer) => answer.string());
  }

  /** Calls `listener` for each lifecycle event of any domain. Returns how to stop that. */
  onLifecycle(listener: Lifecycle): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Closes the connection. The daemon destroys the domains that it has started. */
  close(): void {
    if (this.#gone === undefined) this.#socket.write(callBytes(PROCEDURE.connectClose, 0, Buffer.alloc(0)));
    this.#socket.destroySoon();
  }

  async #authenticate(): Promise<void> {
    const types = await this.#call(PROCEDURE.authList, new XdrWriter(), (answer) =>
      Array.from({ length: Math.min(answer.unsigned(), MOST_TYPES) }, () => answer.int()),
    );
    if (types.length === 0 || types.includes(AUTH_NONE)) return;
    if (!types.includes(AUTH_POLKIT))
      throw new CallError(0, 'the daemon wants a password (SASL), which is not supported');
    await this.#call(PROCEDURE.authPolkit, new XdrWriter(), nothing);
  }

  /** @throws {CallError} also for an answer that cannot be read */
  async #call<T>(procedure: number, payload: XdrWriter, read: (answer: XdrReader) => T): Promise<T> {
    if (this.#gone !== undefined) throw this.#gone;
    this.#serial += 1;
    const serial = this.#serial;
    this.#socket.write(callBytes(procedure, serial, payload.bytes()));
    const { status, payload: answer } = await new Promise<Message>((resolve, reject) =>
      this.#pending.set(serial, { resolve, reject }),
    );
    const reader = new XdrReader(answer);
    const result = understood(() => (status === OK ? { value: read(reader) } : { error: readError(reader) }));
    if ('error' in result) throw result.error;
    return result.value;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#messages.push(chunk)) this.#take(message);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#end(notUnderstood(error));
      this.#socket.destroy();
    }
  }

  #take(message: Message): void {
    const { program, procedure, type, serial, payload } = message;
    if (program !== REMOTE_PROGRAM) return;
    if (type === EVENT && procedure === PROCEDURE.lifecycleEvent) {
      const reader = new XdrReader(payload);
      reader.int(); // which registration: there is one
      const domain = readDomain(reader);
      const [event, detail] = [reader.int(), reader.int()];
      for (const listener of this.#listeners) listener(domain, event, detail);
    } else if (type === REPLY) {
      this.#pending.get(serial)?.resolve(message);
      this.#pending.delete(serial);
    }
  }

  #end(reason: string): void {
    this.#gone ??= new CallError(VIR_ERR_RPC, reason);
    for (const { reject } of this.#pending.values()) reject(this.#gone);
    this.#pending.clear();
  }
}

function nothing(): void {}

function notUnderstood({ message }: RangeError): string {
  return `what the daemon says is not understood: ${message}`;
}

/** What `read` returns. @throws {CallError} where the daemon's bytes are too few */
function understood<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof RangeError ? new CallError(VIR_ERR_RPC, notUnderstood(error)) : error;
  }
}

/** remote_error: of its fields, those that say what failed. */
function readError(reader: XdrReader): CallError {
  const code = reader.int();
  reader.int(); // the part of libvirt
  return new CallError(code, reader.optional((it) => it.string()) ?? 'libvirt gave no reason');
}
