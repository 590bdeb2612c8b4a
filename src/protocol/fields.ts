/** Writes and reads the fields that payloads consist of. Numbers are big-endian. */

import { bytesOf } from '../util/raw-text.js';

/** A packet or payload that violates the protocol. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}

/** Collects the fields of a payload. */
export class FieldWriter {
  readonly #parts: Buffer[] = [];
  #length = 0;

  u32(value: number): this {
    const field = Buffer.allocUnsafe(4);
    field.writeUInt32BE(value >>> 0);
    return this.#push(field);
  }

  u64(value: bigint): this {
    const field = Buffer.allocUnsafe(8);
    field.writeBigUInt64BE(BigInt.asUintN(64, value));
    return this.#push(field);
  }

  /** @throws {ProtocolError} for a string with a NUL byte, which no path, name or argument on Linux can hold */
  str(value: string): this {
    if (value.includes('\0')) throw new ProtocolError(`${JSON.stringify(value)} has a NUL byte in it`);
    return this.bytes(bytesOf(value));
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    return this.#push(Buffer.from(value.buffer, value.byteOffset, value.length));
  }

  list<T>(values: readonly T[], write: (value: T) => void): this {
    this.u32(values.length);
    for (const value of values) write(value);
    return this;
  }

  strings(values: readonly string[]): this {
    return this.list(values, (value) => this.str(value));
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }

  #push(part: Buffer): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

/** Reads the fields of a payload. Every read throws a {@link ProtocolError} if bytes are missing. */
export class FieldReader {
  readonly #payload: Buffer;
  #offset = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  u32(): number {
    return this.#take(4).readUInt32BE();
  }

  i32(): number {
    return this.#take(4).readInt32BE();
  }

  u64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  bytes(): Buffer {
    return this.#take(this.u32());
  }

  str(): string {
    return this.bytes().toString();
  }

  list<T>(read: () => T): T[] {
    const count = this.u32();
    // Every item has at least four bytes. Checked first, so that a false count allocates nothing.
    if (count > (this.#payload.length - this.#offset) / 4)
      throw new ProtocolError(`a list of ${count} items does not fit its packet`);
    return Array.from({ length: count }, read);
  }

  /** @throws {ProtocolError} when bytes are left over */
  end(): void {
    const left = this.#payload.length - this.#offset;
    if (left !== 0) throw new ProtocolError(`${left} bytes too many in a packet`);
  }

  #take(length: number): Buffer {
    if (length > this.#payload.length - this.#offset) throw new ProtocolError('a packet ends in the middle of a field');
    const field = this.#payload.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return field;
  }
}
