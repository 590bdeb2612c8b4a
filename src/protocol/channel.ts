/** The launcher's end of the channel: handshake, calls, and the streams and exits of processes. */
import type { Duplex } from 'node:stream';
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { deferred } from '../util/promises.js';
import { coalesceReads, isSmallPiece } from './coalesce-reads.js';
import { decodeFailure, decodeResult, encodeCall } from './codec.js';
import { decodeExit } from './exit.js';
import { FieldReader, FieldWriter, ProtocolError } from './fields.js';
import {
  type CallOptions,
  type Guest,
  type GuestSpawn,
  type Operation,
  OperationError,
  type OperationResult,
  type SpawnOperation,
} from './operations.js';
import { encodePacket, type OutputProc, type PacketHeader, PacketParser } from './packets.js';
import { GuestProcess } from './process.js';
import { decodeReady, type GuestReady } from './ready.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, MessageType, PROTOCOL_VERSION, Proc, SpawnFlag, Status } from './wire.js';

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

/** What passes all that is about processes on, instead of having them. */
export interface Relay {
  /** A piece of output, or its end: no bytes. */
  output(proc: OutputProc, process: number, bytes: Buffer): void;
  /** The guest has taken so much of a process's stdin. */
  stdinTaken(process: number, payload: Buffer): void;
  /** The payload of an EXIT. */
  exit(process: number, payload: Buffer): void;
}

/** A connection to a guest, made by {@link Channel.open} or {@link Channel.resume}. */
export class Channel implements Guest {
  /** The process that the sandbox is for. It may not have started yet, nor ever be. */
  readonly application: GuestProcess;

  readonly #transport: Duplex;
  readonly #relay: Relay | undefined;
  /** The running processes, by the guest's numbers. */
  readonly #processes = new Map<number, GuestProcess>();
  readonly #calls = new Map<number, PendingCall>();
  readonly #parser: PacketParser;
  /** Serial number of the last call. */
  #serial = 0;
  /** Set when the connection has ended. */
  #failure: Error | undefined;
  readonly #ready = deferred<GuestReady>();

  private constructor(transport: Duplex, relay?: Relay) {
    this.#transport = transport;
    this.#relay = relay;
    this.application = this.#newProcess();
    // Callers may ignore it.
    this.#ready.promise.catch(() => {});
    this.#parser = new PacketParser({
      stream: (proc, process, bytes) => this.#output(proc, process, bytes),
      streamEnd: (proc, process) => this.#outputEnd(proc, process),
      packet: (header, payload) => this.#packet(header, payload),
    });
  }

  /**
   * Greets the guest and waits until it is ready. There is no time limit: destroy the transport to give up.
   *
   * @param relay gets what is about processes; this channel has none then
   * @throws {SandboxError} `guest-gone`: the connection ended first; `protocol-mismatch`: the guest has another
   *   protocol version
   */
  static async open(transport: Duplex, relay?: Relay): Promise<{ channel: Channel; ready: GuestReady }> {
    mark('qemu.channel');
    const channel = new Channel(transport, relay);
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

  call<T extends Operation>(operation: T, options: CallOptions = {}): Promise<OperationResult<T>> {
    return this.#call(operation, options, startsApplication(operation) ? this.application : undefined);
  }

  /**
   * Starts a process beside the application.
   * @throws {OperationError} if it cannot be started; the message names the system call
   */
  async spawn(operation: SpawnOperation, options: CallOptions = {}): Promise<{ process: GuestProcess; pid: number }> {
    const process = this.#newProcess();
    const { value } = await this.#call(operation, options, process);
    return { process, pid: value.pid };
  }

  /** @param started the process that the call starts */
  #call<T extends Operation>(
    operation: T,
    options: CallOptions,
    started: GuestProcess | undefined,
  ): Promise<OperationResult<T>> {
    return new Promise((resolve, reject) => {
      this.#send((serial) => encodeCall(operation, serial, options), {
        answer: (status, payload) => {
          if (status !== Status.OK) {
            reject(decodeFailure(operation, status, payload));
            return;
          }
          const result = decodeResult(operation, payload);
          // At once: its output may be in the bytes that follow.
          if (started && !this.#relay) this.#add(started, numberIn(result.value));
          resolve(result);
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

  /** Passes data of a process on, or an acknowledgement of another host. */
  forwardStream(proc: number, type: number, process: number, payload: Uint8Array): void {
    if (!this.#failure) this.#transport.write(encodePacket(proc, type, 0, process, payload));
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
    const { type, proc, serial } = header;
    if (type === MessageType.REPLY) {
      if (proc === Proc.STDIN) this.#stdinTaken(serial, payload);
      else this.#reply(header, payload);
    } else if (type === MessageType.MESSAGE && proc === Proc.READY) {
      this.#ready.resolve(decodeReady(payload));
    } else if (type === MessageType.MESSAGE && proc === Proc.EXIT) {
      this.#exited(serial, payload);
    } else {
      throw new ProtocolError(`the guest sent a packet of proc ${proc}, type ${type}`);
    }
  }

  #newProcess(): GuestProcess {
    return new GuestProcess({
      data: (process, bytes) => this.forwardStream(Proc.STDIN, MessageType.DATA, process, bytes),
      acknowledge: (proc, process, bytes) =>
        this.forwardStream(proc, MessageType.REPLY, process, new FieldWriter().u32(bytes).finish()),
    });
  }

  /** @throws {ProtocolError} if the guest has another process of that number, or had it started already */
  #add(process: GuestProcess, number: number): void {
    if (number === 0 || this.#processes.has(number) || process.number !== 0)
      throw new ProtocolError(`the guest started process ${number}, which is there already`);
    this.#processes.set(number, process);
    process.started(number);
  }

  /** @throws {ProtocolError} if there is no such process */
  #running(number: number, what: string): GuestProcess {
    const process = this.#processes.get(number);
    if (!process) throw new ProtocolError(`the guest sent ${what} of process ${number}, which does not run`);
    return process;
  }

  #output(proc: OutputProc, number: number, bytes: Buffer): void {
    if (this.#relay) this.#relay.output(proc, number, bytes);
    else this.#running(number, 'output').output(proc, bytes);
  }

  #outputEnd(proc: OutputProc, number: number): void {
    mark('output.end', { proc });
    if (this.#relay) this.#relay.output(proc, number, Buffer.alloc(0));
    else this.#running(number, 'the end of output').outputEnd(proc);
  }

  #stdinTaken(number: number, payload: Buffer): void {
    if (this.#relay) this.#relay.stdinTaken(number, payload);
    else this.#running(number, 'an acknowledgement').stdinTaken(new FieldReader(payload).u32());
  }

  #exited(number: number, payload: Buffer): void {
    if (this.#relay) {
      this.#relay.exit(number, payload);
      return;
    }
    const process = this.#running(number, 'the exit');
    const exit = decodeExit(payload);
    this.#processes.delete(number);
    process.ended(exit);
    if (process !== this.application) return;
    mark('exit', { drained: exit.drained, finished: exit.finished });
    const error = endedError();
    for (const other of this.#processes.values()) other.lost(error);
    this.#processes.clear();
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
    this.application.lost(this.#failure);
    for (const process of this.#processes.values()) process.lost(this.#failure);
    this.#processes.clear();
  }
}

function startsApplication(operation: Operation): boolean {
  if (operation.op === 'configure') return true;
  return operation.op === 'spawn' && (operation.flags & SpawnFlag.APPLICATION) !== 0;
}

/** The number of the process that a call has started. */
function numberIn(value: unknown): number {
  return typeof value === 'number' ? value : (value as GuestSpawn).process;
}

function endedError(): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-ended',
    message: 'the sandbox ended with its application, while another process ran in it',
    remedy: 'wait for that process before the application ends',
  });
}
