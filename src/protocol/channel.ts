/** The launcher's end of the channel: handshake, calls, and the streams and exits of processes. */
import type { Duplex } from 'node:stream';
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { deferred } from '../util/promises.js';
import { Calls, type PendingCall, startedBy, startsApplication } from './calls.js';
import { coalesceReads, isSmallPiece } from './coalesce-reads.js';
import { decodeFailure, decodeResult, encodeCall } from './codec.js';
import { FieldReader, FieldWriter, ProtocolError } from './fields.js';
import { greet } from './handshake.js';
import {
  type CallOptions,
  type Guest,
  type Operation,
  OperationError,
  type OperationResult,
  type SpawnOperation,
} from './operations.js';
import { encodePacket, type OutputProc, type PacketHeader, PacketParser } from './packets.js';
import { GuestProcess } from './process.js';
import { ProcessTable } from './process-table.js';
import { decodeReady, type GuestReady } from './ready.js';
import type { ForeignProcess, RawReply, Relay } from './relay.js';
import { CallFlag, MessageType, PROTOCOL_VERSION, Proc, Status } from './wire.js';

/** A connection to a guest, made by {@link Channel.open} or {@link Channel.resume}. */
export class Channel implements Guest {
  /** The process that the sandbox is for. It may not have started yet, nor ever be. */
  readonly application: GuestProcess;

  readonly #transport: Duplex;
  readonly #relay: Relay | undefined;
  readonly #processes: ProcessTable;
  readonly #calls = new Calls();
  readonly #parser: PacketParser;
  readonly #onTaken: (() => void)[] = [];
  /** Set when the connection has ended. */
  #failure: Error | undefined;
  readonly #ready = deferred<GuestReady>();

  private constructor(transport: Duplex, relay?: Relay) {
    this.#transport = transport;
    this.#relay = relay;
    this.application = this.#newProcess();
    this.#processes = new ProcessTable(this.application, endedError);
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
   * @param processes that run in it already, by the guest's numbers. Nothing is wanted of them
   */
  static resume(transport: Duplex, processes: readonly number[] = []): Channel {
    const channel = new Channel(transport);
    for (const number of processes) {
      const process = channel.#newProcess();
      // What nobody reads would be waited with.
      process.stdout.resume();
      process.stderr.resume();
      channel.#processes.add(process, number);
    }
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
          if (started && !this.#relay) this.#processes.add(started, startedBy(result.value));
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

  /**
   * Starts a process for another host, from its encoded call.
   * @param host hears of the answer before it hears anything else of the process
   */
  spawnFor(host: ForeignProcess, payload: Uint8Array): void {
    const encode = (serial: number) => encodePacket(Proc.SPAWN, MessageType.CALL, CallFlag.TOLERATE, serial, payload);
    this.#send(encode, {
      answer: (status, answered) => {
        host.answered({ status, payload: answered });
        if (status === Status.OK) this.#processes.add(host, startedIn(answered));
      },
      reject: (error) => host.lost(error instanceof Error ? error : new Error(String(error))),
    });
  }

  /** How many processes run that were started over this channel. */
  get processes(): number {
    return this.#processes.size;
  }

  /** Bytes that the guest has not taken yet. Where they are more than some KiB, {@link onceTaken} tells the end. */
  get backlog(): number {
    return this.#transport.writableLength;
  }

  /** Calls back once, when the guest has taken all. Not at all if the connection ends before. */
  onceTaken(call: () => void): void {
    this.#onTaken.push(call);
    if (this.#onTaken.length > 1) return;
    this.#transport.once('drain', () => {
      for (const waiting of this.#onTaken.splice(0)) waiting();
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
    const packet = this.#calls.begin(encode, pending);
    if (packet) this.#transport.write(packet);
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
    const giveUp = greet(this.#transport, (bytes) => this.#receive(bytes));
    this.#watchTransport(giveUp);
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
      else this.#calls.answer(header, payload);
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

  #output(proc: OutputProc, number: number, bytes: Buffer): void {
    if (this.#relay) this.#relay.output(proc, number, bytes);
    else this.#processes.output(proc, number, bytes);
  }

  #outputEnd(proc: OutputProc, number: number): void {
    mark('output.end', { proc });
    if (this.#relay) this.#relay.output(proc, number, Buffer.alloc(0));
    else this.#processes.outputEnd(proc, number);
  }

  #stdinTaken(number: number, payload: Buffer): void {
    if (this.#relay) this.#relay.stdinTaken(number, payload);
    else this.#processes.stdinTaken(number, payload);
  }

  #exited(number: number, payload: Buffer): void {
    if (this.#relay) this.#relay.exit(number, payload);
    else this.#processes.exited(number, payload);
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
    this.#calls.reject(this.#failure);
    this.#ready.reject(this.#failure);
    this.application.lost(this.#failure);
    this.#processes.lose(this.#failure);
  }
}

/** The number of the process in an answer to SPAWN that is not decoded. */
function startedIn(payload: Buffer): number {
  const r = new FieldReader(payload);
  r.u32();
  return r.u32();
}

function endedError(): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-ended',
    message: 'the sandbox ended with its application, while another process ran in it',
    remedy: 'wait for that process before the application ends',
  });
}
