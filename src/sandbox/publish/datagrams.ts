/** Datagrams as records of a stream: docs/protocol.md, connect-udp. */
import { ProtocolError } from '../../protocol/fields.js';
import { Bytes } from '../../util/bytes.js';

/** Of IPv4. */
export const MOST_DATAGRAM_BYTES = 65_507;

const SIZE_BYTES = 4;

export function datagramRecord(datagram: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(SIZE_BYTES + datagram.length);
  record.writeUInt32BE(datagram.length);
  record.set(datagram, SIZE_BYTES);
  return record;
}

/** Takes pieces of the stream. */
export class DatagramReader {
  readonly #rest = new Bytes();
  /** How many bytes there have to be before it is worth looking. */
  #wanted = SIZE_BYTES;

  /**
   * The datagrams that end in this piece.
   * @throws {ProtocolError} one is longer than any is
   */
  *read(piece: Uint8Array): Generator<Buffer, void> {
    this.#rest.add(piece);
    if (this.#rest.length < this.#wanted) return;
    let bytes = this.#rest.take();
    this.#wanted = SIZE_BYTES;
    while (bytes.length >= SIZE_BYTES) {
      const size = bytes.readUInt32BE(0);
      if (size > MOST_DATAGRAM_BYTES) throw new ProtocolError(`the guest sent a datagram of ${size} bytes`);
      this.#wanted = SIZE_BYTES + size;
      if (bytes.length < this.#wanted) break;
      yield bytes.subarray(SIZE_BYTES, this.#wanted);
      bytes = bytes.subarray(this.#wanted);
      this.#wanted = SIZE_BYTES;
    }
    this.#rest.add(bytes);
  }
}
