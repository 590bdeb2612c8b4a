/** The encoding of libvirt's messages: XDR, RFC 4506. Everything is a multiple of four bytes long, in network order. */

/** Puts values one after another. */
export class XdrWriter {
  readonly #parts: Buffer[] = [];

  /** An `int` or `unsigned int`. */
  int(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0);
    this.#parts.push(bytes);
    return this;
  }

  string(text: string): this {
    const bytes = Buffer.from(text);
    return this.int(bytes.length).fixed(bytes);
  }

  /** An `opaque` of a length that both sides know. */
  fixed(bytes: Buffer): this {
    this.#parts.push(bytes, Buffer.alloc(padding(bytes.length)));
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Takes values one after another. A value that is not there whole is a RangeError. */
export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(): number {
    const value = this.#bytes.readInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  unsigned(): number {
    return this.int() >>> 0;
  }

  /** An `unsigned hyper`. */
  long(): bigint {
    const value = this.#bytes.readBigUInt64BE(this.#at);
    this.#at += 8;
    return value;
  }

  string(): string {
    return this.fixed(this.unsigned()).toString();
  }

  /** A pointer: whether there is something is said before it. */
  optional<T>(read: (reader: this) => T): T | undefined {
    return this.int() === 0 ? undefined : read(this);
  }

  fixed(length: number): Buffer {
    const end = this.#at + length;
    if (end + padding(length) > this.#bytes.length) throw new RangeError('a message ends too soon');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + padding(length);
    return bytes;
  }
}

function padding(length: number): number {
  return -length & 3;
}
