/** The launcher's end of the channel: handshake, calls, the application's streams and its exit. */
import type { Duplex, Readable, Writable } from 'node:stream';
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { deferred } from '../util/promises.js';
import { coalesceReads, isSmallPiece } from './coalesce-reads.js';
import { decodeFailure, decodeResult, encodeCall } from './codec.js';
import { decodeExit } from './exit.js';
import { FieldReader, ProtocolError } from './fields.js';
import { type CallOptions, type Guest, type Operation, OperationError, type OperationResult } from './operations.js';
import { OutputStreams } from './output.js';
import { encodePacket, type PacketHeader, PacketParser } from './packets.js';
import { decodeReady, type GuestReady } from './ready.js';
import { StdinSender } from './stdin.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, MessageType, PROTOCOL_VERSION, Proc, Status } from './wire.js';

/** How often the host greets until the guest answers, in milliseconds. */
const HANDSHAKE_INTERVAL = 50;

/** A call without a reply yet. */
interface PendingCall {
  answer(status: number, payload: Buffer): void;
  reject(error: unknown): void;
}

/** A reply of the guest, not decoded. */
export interface RawReply {
  readonly status: number;
  readonly payload: Buffer;
}

/** A connection to a guest, made by {@link Channel.open} or {@link Channel.resume}. */
export class Channel implements Guest {
  /** Raw wait status of the application. Rejects if the connection ends first. */
  readonly exited: Promise<number>;

  readonly #transport: Duplex;
  readonly #output: OutputStreams;
  readonly #stdin: StdinSender;
  readonly #calls = new Map<number, PendingCall>();
  readonly #parser: PacketParser;
  /** Serial number of the last call. */
  #serial = 0;
  /** Set when the connection has ended. */
  #failure: Error | undefined;
  readonly #ready = deferred<GuestReady>();
  readonly #exit = deferred<number>();

  private constructor(transport: Duplex) {
    this.#transport = transport;
    this.#output = new OutputStreams(transport);
    this.#stdin = new StdinSender(transport);
    this.exited = this.#exit.promise;
    // Callers may ignore these promises.
    this.exited.catch(() => {});
    this.#ready.promise.catch(() => {});
    this.#parser = new PacketParser({
      stream: (proc, bytes) => this.#output.write(proc, bytes),
      streamEnd: (proc) => {
        mark('output.end', { proc });
        this.#output.end(proc);
      },
      packet: (header, payload) => this.#packet(header, payload),
    });
  }

  /**
   * Greets the guest and waits until it is ready. There is no time limit: destroy the transport to give up.
   *
   * @throws {SandboxError} `guest-gone`: the connection ended first; `protocol-mismatch`: the guest has another
   *   protocol version
   */
  static async open(transport: Duplex): Promise<{ channel: Channel; ready: GuestReady }> {
    mark('qemu.channel');
    const channel = new Channel(transport);
    const ready = await channel.#handshake();
    if (ready.protocol !== PROTOCOL_VERSION) {
      throw new SandboxError({
        stage: 'init',
        code: 'protocol-mismatch',
        message: `the guest's init has protocol version ${ready.protocol}, this program has ${PROTOCOL_VERSION}`,
        remedy: 'build the image again with this version',
      });
    }
    return { channel, ready };
  }

  /**
   * Connects to a guest from a snapshot. It was saved after its handshake with another host, while it waited for
   * packets.
   */
  static resume(transport: Duplex): Channel {
    const channel = new Channel(transport);
    mark('qemu.channel');
    channel.#watchTransport(() => {});
    transport.on('data', (bytes: Buffer) => channel.#receive(bytes));
    return channel;
  }

  /** The application's output. With a terminal, all of it comes here and `stderr` stays empty. */
  get stdout(): Readable {
    return this.#output.stdout;
  }

  get stderr(): Readable {
    return this.#output.stderr;
  }

  get stdin(): Writable {
    return this.#stdin.stream;
  }

  call<T extends Operation>(operation: T, options: CallOptions = {}): Promise<OperationResult<T>> {
    return new Promise((resolve, reject) => {
      this.#send((serial) => encodeCall(operation, serial, options), {
        answer: (status, payload) => {
          if (status === Status.OK) resolve(decodeResult(operation, payload));
          else reject(decodeFailure(operation, status, payload));
        },
        reject: (error) =>
          reject(error instanceof ProtocolError ? new OperationError(operation.op, 0, error.message) : error),
      });
    });
  }

  /** Forwards an encoded call of another host. */
  forward(proc: number, flags: number, payload: Uint8Array): Promise<RawReply> {
    return new Promise((resolve, reject) => {
      this.#send((serial) => encodePacket(proc, MessageType.CALL, flags, serial, payload), {
        answer: (status, answered) => resolve({ status, payload: answered }),
        reject,
      });
    });
  }

  #send(encode: (serial: number) => Buffer, pending: PendingCall): void {
    if (this.#failure) {
      pending.reject(this.#failure);
      return;
    }
    this.#serial = (this.#serial + 1) >>> 0;
    let packet: Buffer;
    try {
      packet = encode(this.#serial);
    } catch (error) {
      pending.reject(error);
      return;
    }
    this.#calls.set(this.#serial, pending);
    this.#transport.write(packet);
  }

  /** Asks the guest to kill all processes and to power off. */
  quit(): void {
    if (!this.#failure) this.#transport.write(encodePacket(Proc.QUIT, MessageType.MESSAGE, 0, 0, new Uint8Array()));
  }

  /** Ends the connection at once. The guest powers off when it notices. */
  destroy(): void {
    this.#transport.destroy();
  }

  #handshake(): Promise<GuestReady> {
    const transport = this.#transport;
    const greet = () => transport.write(Uint8Array.of(HANDSHAKE_WAIT));
    const timer = setInterval(greet, HANDSHAKE_INTERVAL);
    const awaitSync = (chunk: Buffer) => {
      const at = chunk.indexOf(HANDSHAKE_SYNC);
      if (at < 0) return;
      clearInterval(timer);
      mark('channel.sync');
      transport.off('data', awaitSync);
      transport.write(Uint8Array.of(HANDSHAKE_SYNC));
      transport.on('data', (bytes: Buffer) => this.#receive(bytes));
      if (at + 1 < chunk.length) this.#receive(chunk.subarray(at + 1));
    };
    transport.on('data', awaitSync);
    this.#watchTransport(() => clearInterval(timer));
    greet();
    return this.#ready.promise;
  }

  #watchTransport(onClose: () => void): void {
    this.#transport.once('error', (error) => this.#fail(error));
    this.#transport.once('close', () => {
      onClose();
      this.#fail(undefined);
    });
  }

  #receive(bytes: Buffer): void {
    try {
      this.#parser.push(bytes);
      if (isSmallPiece(bytes.length, this.#parser.missing)) coalesceReads();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#transport.destroy();
    }
  }

  #packet(header: PacketHeader, payload: Buffer): void {
    if (header.type === MessageType.REPLY) {
      if (header.proc === Proc.STDIN) this.#stdin.acknowledge(new FieldReader(payload).u32());
      else this.#reply(header, payload);
    } else if (header.type === MessageType.MESSAGE && header.proc === Proc.READY) {
      this.#ready.resolve(decodeReady(payload));
    } else if (header.type === MessageType.MESSAGE && header.proc === Proc.EXIT) {
      const { status, drained, finished } = decodeExit(payload);
      mark('exit', { drained, finished });
      this.#output.endAll();
      this.#exit.resolve(status);
    } else {
      throw new ProtocolError(`the guest sent a packet of proc ${header.proc}, type ${header.type}`);
    }
  }

  #reply(header: PacketHeader, payload: Buffer): void {
    const call = this.#calls.get(header.serial);
    if (!call) throw new ProtocolError(`the guest answered call ${header.serial}, which was not made`);
    // Decoding throws for a malformed reply. The call is forgotten after that, so that the failure reaches its caller.
    call.answer(header.status, payload);
    this.#calls.delete(header.serial);
  }

  /** Ends everything that waits for the guest. Only the first failure counts. */
  #fail(cause: Error | undefined): void {
    if (this.#failure) return;
    this.#failure = new SandboxError({
      stage: 'boot',
      code: 'guest-gone',
      message: cause ? `the connection to the guest broke: ${cause.message}` : 'the guest ended and gave no reason',
      remedy: 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see what it does',
      cause,
    });
    for (const call of this.#calls.values()) call.reject(this.#failure);
    this.#calls.clear();
    this.#ready.reject(this.#failure);
    this.#exit.reject(this.#failure);
    this.#output.endAll();
    this.#stdin.fail(this.#failure);
  }
}
