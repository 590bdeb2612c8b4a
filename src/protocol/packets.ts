/** Encodes packets, and splits a byte stream into packets. */
import { ProtocolError } from './fields.js';
import { HEADER_BYTES, MessageType, maxPacketBytes, Proc } from './wire.js';

export interface PacketHeader {
  readonly proc: number;
  readonly type: number;
  readonly status: number;
  readonly serial: number;
}

export type OutputProc = typeof Proc.STDOUT | typeof Proc.STDERR;

/** Receives what {@link PacketParser} finds. */
export interface PacketSink {
  /** A piece of a process's output. One packet may come in several pieces. */
  stream(proc: OutputProc, process: number, bytes: Buffer): void;
  /** The process has closed the stream. */
  streamEnd(proc: OutputProc, process: number): void;
  /** Any other packet, complete. */
  packet(header: PacketHeader, payload: Buffer): void;
}

/**
 * Encodes a packet, including its header.
 *
 * @throws {ProtocolError} when the packet is larger than the protocol allows
 */
export function encodePacket(proc: number, type: number, status: number, serial: number, payload: Uint8Array): Buffer {
  const length = HEADER_BYTES + payload.length;
  const most = maxPacketBytes(proc, type);
  if (length > most) throw new ProtocolError(`a packet of ${length} bytes is larger than ${most}`);
  const packet = Buffer.allocUnsafe(length);
  packet.writeUInt32BE(length, 0);
  packet.writeUInt32BE(proc, 4);
  packet.writeUInt32BE(type, 8);
  packet.writeUInt32BE(status, 12);
  packet.writeUInt32BE(serial >>> 0, 16);
  packet.set(payload, HEADER_BYTES);
  return packet;
}

/**
 * Splits one direction of a channel, after the handshake, into packets. Passes output on as it arrives, without
 * copying.
 */
export class PacketParser {
  readonly #sink: PacketSink;
  readonly #headerBytes = Buffer.alloc(HEADER_BYTES);
  /** How many bytes of the next header have arrived. */
  #headerFill = 0;
  #header: PacketHeader | undefined;
  /** The payload of the current packet. Undefined until it is seen to arrive in several pieces. */
  #payload: Buffer | undefined;
  /** Payload bytes of the current packet that have not arrived. */
  #missing = 0;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /** Payload bytes of the current packet that have not arrived. */
  get missing(): number {
    return this.#missing;
  }

  /**
   * Parses the next bytes.
   *
   * @throws {ProtocolError} when they violate the protocol. Do not use the parser any more then.
   */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0)
      rest = this.#header === undefined ? this.#readHeader(rest) : this.#readPayload(rest, this.#header);
  }

  #readHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#headerBytes, this.#headerFill);
    this.#headerFill += taken;
    if (this.#headerFill < HEADER_BYTES) return chunk.subarray(taken);
    this.#headerFill = 0;
    const bytes = this.#headerBytes;
    const length = bytes.readUInt32BE(0);
    const header = {
      proc: bytes.readUInt32BE(4),
      type: bytes.readUInt32BE(8),
      status: bytes.readUInt32BE(12),
      serial: bytes.readUInt32BE(16),
    };
    if (length < HEADER_BYTES || length > maxPacketBytes(header.proc, header.type))
      throw new ProtocolError(`a packet claims to have ${length} bytes`);
    this.#header = header;
    this.#missing = length - HEADER_BYTES;
    if (this.#missing === 0) this.#finish(header, Buffer.alloc(0));
    return chunk.subarray(taken);
  }

  #readPayload(chunk: Buffer, header: PacketHeader): Buffer {
    const piece = chunk.subarray(0, this.#missing);
    if (isStream(header)) {
      this.#missing -= piece.length;
      this.#sink.stream(header.proc, header.serial, piece);
      if (this.#missing === 0) this.#header = undefined;
    } else if (this.#payload === undefined && piece.length === this.#missing) {
      this.#missing = 0;
      this.#finish(header, piece);
    } else {
      // A list of pieces would take a hundred bytes for each, and the guest chooses how small they are.
      this.#payload ??= Buffer.allocUnsafeSlow(this.#missing);
      piece.copy(this.#payload, this.#payload.length - this.#missing);
      this.#missing -= piece.length;
      if (this.#missing === 0) this.#finish(header, this.#payload);
    }
    return chunk.subarray(piece.length);
  }

  #finish(header: PacketHeader, payload: Buffer): void {
    this.#header = undefined;
    this.#payload = undefined;
    if (isStream(header)) this.#sink.streamEnd(header.proc, header.serial);
    else this.#sink.packet(header, payload);
  }
}

function isStream(header: PacketHeader): header is PacketHeader & { proc: OutputProc } {
  return header.type === MessageType.DATA && (header.proc === Proc.STDOUT || header.proc === Proc.STDERR);
}
