/** The stream of records that a program of the init writes: docs/protocol.md. A guest may write anything. */
import { ProtocolError } from '../../protocol/fields.js';
import { Bytes } from '../../util/bytes.js';

/** More than a name, a link's target or a path, and all numbers. */
const MOST_RECORD_BYTES = 8192;

/** Cuts a stream into records. */
export class RecordParser {
  readonly #bytes = new Bytes();

  /**
   * @returns the records that are whole now
   * @throws {ProtocolError} for a record of more bytes than any has
   */
  push(chunk: Uint8Array): Buffer[] {
    this.#bytes.add(chunk);
    const bytes = this.#bytes.take();
    const records: Buffer[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const size = bytes.readUInt32BE(at);
      if (size > MOST_RECORD_BYTES) throw new ProtocolError(`a record of ${size} bytes`);
      if (bytes.length - at - 4 < size) break;
      records.push(bytes.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    this.#bytes.add(bytes.subarray(at));
    return records;
  }

  /** @throws {ProtocolError} if the stream has ended in a record */
  end(): void {
    if (this.#bytes.length > 0) throw new ProtocolError('the records end in the middle of one');
  }
}
