/** The launcher's end of the channel: handshake, calls, streams, the application's end. */
import type { Duplex } from 'node:stream';
import { PassThrough, type Readable, Writable } from 'node:stream';
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { coalesceReads, isSmallPiece } from './coalesce-reads.js';
import { decodeFailure, decodeResult, encodeCall } from './codec.js';
import { decodeExit } from './exit.js';
import { FieldReader, ProtocolError } from './fields.js';
import { type CallOptions, type Guest, type Operation, OperationError, type OperationResult } from './operations.js';
import { encodePacket, type PacketHeader, PacketParser } from './packets.js';
import { decodeReady, type GuestReady } from './ready.js';
import {
  HANDSHAKE_SYNC,
  HANDSHAKE_WAIT,
  HEADER_BYTES,
  MAX_PACKET_BYTES,
  MessageType,
  PROTOCOL_VERSION,
  Proc,
  STDIN_WINDOW_BYTES,
  Status,
} from './wire.js';

/** How often the host says that it is there, in milliseconds. */
const HANDSHAKE_INTERVAL = 50;
const MAX_STDIN_BYTES = MAX_PACKET_BYTES - HEADER_BYTES;

interface PendingCall {
  answer(status: number, payload: Buffer): void;
  reject(error: unknown): void;
}

/** What a guest has answered, as it came. */
export interface RawReply {
  readonly status: number;
  readonly payload: Buffer;
}

/** A connected guest. Made by {@link Channel.open}. */
export class Channel implements Guest {
  /** The application's output. `stderr` stays empty with a terminal. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly stdin: Writable;
  /** Raw wait status of the application; rejects when the connection ends before. */
  readonly exited: Promise<number>;

  readonly #transport: Duplex;
  readonly #stdout = new PassThrough({ highWaterMark: 1 << 20 });
  readonly #stderr = new PassThrough({ highWaterMark: 1 << 20 });
  readonly #blocked = new Set<PassThrough>();
  readonly #calls = new Map<number, PendingCall>();
  readonly #parser: PacketParser;
  #serial = 0;
  #stdinCredit = STDIN_WINDOW_BYTES;
  #stdinWaiting: (() => void) | undefined;
  #failure: Error | undefined;
  #resolveReady: (ready: GuestReady) => void = () => {};
  #rejectReady: (error: Error) => void = () => {};
  #resolveExit!: (status: number) => void;
  #rejectExit!: (error: Error) => void;

  private constructor(transport: Duplex) {
    this.#transport = transport;
    this.stdout = this.#stdout;
    this.stderr = this.#stderr;
    this.stdin = this.#makeStdin();
    this.exited = new Promise((resolve, reject) => {
      this.#resolveExit = resolve;
      this.#rejectExit = reject;
    });
    // A caller that only looks at other promises must not be killed by this one.
    this.exited.catch(() => {});
    this.#parser = new PacketParser({
      stream: (proc, bytes) => this.#output(proc === Proc.STDOUT ? this.#stdout : this.#stderr, bytes),
      streamEnd: (proc) => {
        mark('output.end', { proc });
        (proc === Proc.STDOUT ? this.#stdout : this.#stderr).end();
      },
      packet: (header, payload) => this.#packet(header, payload),
    });
  }

  /**
   * Greets the guest and waits until it is ready. There is no time limit here: end the transport to give up.
   * @throws {SandboxError} `guest-gone` when the connection ends first, `protocol-mismatch` for a guest of another version
   */
  static async open(transport: Duplex): Promise<{ channel: Channel; ready: GuestReady }> {
    mark('qemu.channel');
    const channel = new Channel(transport);
    const ready = await channel.#handshake();
    if (ready.protocol !== PROTOCOL_VERSION) {
      throw new SandboxError({
        stage: 'init',
        code: 'protocol-mismatch',
        message: `the guest's init speaks protocol ${ready.protocol}, this program ${PROTOCOL_VERSION}`,
        remedy: 'build the image again with this version',
      });
    }
    return { channel, ready };
  }

  /** Goes on with a guest that greeted another host and was saved while it waited for packets. */
  static resume(transport: Duplex): Channel {
    const channel = new Channel(transport);
    mark('qemu.channel');
    channel.#watchTransport(() => {});
    transport.on('data', (bytes: Buffer) => channel.#receive(bytes));
    return channel;
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

  /** Hands on somebody else's call, as it came. */
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

  /** Asks the guest to kill what runs and to power off. */
  quit(): void {
    if (!this.#failure) this.#transport.write(encodePacket(Proc.QUIT, MessageType.MESSAGE, 0, 0, new Uint8Array()));
  }

  /** Ends the connection at once; the guest powers off when it notices. */
  destroy(): void {
    this.#transport.destroy();
  }

  #handshake(): Promise<GuestReady> {
    const transport = this.#transport;
    const greet = () => transport.write(Uint8Array.of(HANDSHAKE_WAIT));
    const timer = setInterval(greet, HANDSHAKE_INTERVAL);
    const ready = new Promise<GuestReady>((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
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
    return ready;
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

  /** Hands output on, and stops reading from the guest while nobody takes it: it then throttles the application. */
  #output(stream: PassThrough, bytes: Buffer): void {
    if (stream.writableEnded || stream.destroyed) return;
    if (stream.write(bytes)) return;
    this.#transport.pause();
    if (this.#blocked.has(stream)) return;
    this.#blocked.add(stream);
    const resume = () => {
      this.#blocked.delete(stream);
      stream.off('drain', resume);
      stream.off('close', resume);
      if (!this.#stdout.writableNeedDrain && !this.#stderr.writableNeedDrain) this.#transport.resume();
    };
    stream.on('drain', resume);
    stream.on('close', resume);
  }

  #packet(header: PacketHeader, payload: Buffer): void {
    if (header.type === MessageType.REPLY) {
      if (header.proc === Proc.STDIN) this.#acknowledge(new FieldReader(payload).u32());
      else this.#reply(header, payload);
    } else if (header.type === MessageType.MESSAGE && header.proc === Proc.READY) {
      this.#resolveReady(decodeReady(payload));
    } else if (header.type === MessageType.MESSAGE && header.proc === Proc.EXIT) {
      const { status, drained, finished } = decodeExit(payload);
      mark('exit', { drained, finished });
      this.#stdout.end();
      this.#stderr.end();
      this.#resolveExit(status);
    } else {
      throw new ProtocolError(`the guest sent a packet of proc ${header.proc}, type ${header.type}`);
    }
  }

  #reply(header: PacketHeader, payload: Buffer): void {
    const call = this.#calls.get(header.serial);
    if (!call) throw new ProtocolError(`the guest answered call ${header.serial}, which was not made`);
    this.#calls.delete(header.serial);
    call.answer(header.status, payload);
  }

  #acknowledge(bytes: number): void {
    this.#stdinCredit = Math.min(this.#stdinCredit + bytes, STDIN_WINDOW_BYTES);
    const waiting = this.#stdinWaiting;
    this.#stdinWaiting = undefined;
    waiting?.();
  }

  #makeStdin(): Writable {
    const sendData = (bytes: Uint8Array) =>
      this.#transport.write(encodePacket(Proc.STDIN, MessageType.DATA, 0, 0, bytes));
    const send = (bytes: Buffer, done: (error?: Error | null) => void): void => {
      if (this.#failure) {
        done(this.#failure);
        return;
      }
      const piece = bytes.subarray(0, Math.min(this.#stdinCredit, MAX_STDIN_BYTES));
      if (piece.length > 0) {
        this.#stdinCredit -= piece.length;
        sendData(piece);
      }
      const rest = bytes.subarray(piece.length);
      if (rest.length === 0) done();
      else if (this.#stdinCredit > 0) send(rest, done);
      else this.#stdinWaiting = () => send(rest, done);
    };
    return new Writable({
      highWaterMark: 1 << 18,
      write: (chunk: Buffer, _encoding, done) => send(chunk, done),
      final: (done) => {
        if (!this.#failure) sendData(new Uint8Array());
        done();
      },
    });
  }

  #fail(cause: Error | undefined): void {
    if (this.#failure) return;
    this.#failure = new SandboxError({
      stage: 'boot',
      code: 'guest-gone',
      message: cause ? `the connection to the guest broke: ${cause.message}` : 'the guest ended without a word',
      remedy: 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see what it does',
      cause,
    });
    for (const call of this.#calls.values()) call.reject(this.#failure);
    this.#calls.clear();
    this.#rejectReady(this.#failure);
    this.#rejectExit(this.#failure);
    this.#stdout.end();
    this.#stderr.end();
    const waiting = this.#stdinWaiting;
    this.#stdinWaiting = undefined;
    waiting?.();
  }
}
