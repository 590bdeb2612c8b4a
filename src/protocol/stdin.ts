/** The application's stdin, sent within the window that the guest has room for. */
import { type Duplex, Writable } from 'node:stream';
import { encodePacket } from './packets.js';
import { HEADER_BYTES, MAX_PACKET_BYTES, MessageType, Proc, STDIN_WINDOW_BYTES } from './wire.js';

const MAX_DATA_BYTES = MAX_PACKET_BYTES - HEADER_BYTES;

export class StdinSender {
  /** What is written here is sent to the guest. Ending it sends the end of file. */
  readonly stream: Writable;
  readonly #transport: Duplex;
  /** How many bytes may be sent before the guest acknowledges more. */
  #credit = STDIN_WINDOW_BYTES;
  /** Goes on with a write that waits for credit. */
  #resume: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(transport: Duplex) {
    this.#transport = transport;
    this.stream = new Writable({
      highWaterMark: 1 << 18,
      write: (chunk: Buffer, _encoding, done) => this.#send(chunk, done),
      final: (done) => {
        if (!this.#failure) this.#sendData(new Uint8Array());
        done();
      },
    });
  }

  /** The guest has consumed `bytes` more bytes. */
  acknowledge(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, STDIN_WINDOW_BYTES);
    this.#wake();
  }

  /** The connection is gone: waiting and later writes fail with `error`. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  #wake(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.#failure) {
      done(this.#failure);
      return;
    }
    const piece = bytes.subarray(0, Math.min(this.#credit, MAX_DATA_BYTES));
    if (piece.length > 0) {
      this.#credit -= piece.length;
      this.#sendData(piece);
    }
    const rest = bytes.subarray(piece.length);
    if (rest.length === 0) done();
    else if (this.#credit > 0) this.#send(rest, done);
    else this.#resume = () => this.#send(rest, done);
  }

  #sendData(bytes: Uint8Array): void {
    this.#transport.write(encodePacket(Proc.STDIN, MessageType.DATA, 0, 0, bytes));
  }
}
