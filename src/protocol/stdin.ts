/** The stdin of a process in the guest, sent within the window that the guest has room for. */
import { Writable } from 'node:stream';
import { ProtocolError } from './fields.js';
import { HEADER_BYTES, MAX_PACKET_BYTES, STDIN_WINDOW_BYTES } from './wire.js';

const MAX_DATA_BYTES = MAX_PACKET_BYTES - HEADER_BYTES;

export class StdinSender {
  /** What is written here is sent to the guest. Ending it sends the end of file. */
  readonly stream: Writable;
  /** Undefined: the process has not started. */
  #transmit: ((bytes: Uint8Array) => void) | undefined;
  /** How many bytes may be sent before the guest acknowledges more. */
  #credit = 0;
  /** Goes on with a write that waits for credit. */
  #resume: (() => void) | undefined;
  #failure: Error | undefined;
  #isDiscarded = false;

  constructor() {
    this.stream = new Writable({
      highWaterMark: 1 << 18,
      write: (chunk: Buffer, _encoding, done) => this.#send(chunk, done),
      final: (done) => this.#finish(done),
    });
  }

  /** The process has started, and what was written is sent. */
  start(transmit: (bytes: Uint8Array) => void): void {
    this.#transmit = transmit;
    this.#credit = STDIN_WINDOW_BYTES;
    this.#wake();
  }

  /**
   * The guest has consumed `bytes` more bytes.
   * @throws {ProtocolError} for more than it was sent
   */
  acknowledge(bytes: number): void {
    if (bytes > STDIN_WINDOW_BYTES - this.#credit)
      throw new ProtocolError('the guest took more stdin than it was sent');
    this.#credit += bytes;
    this.#wake();
  }

  /** The process has ended: what is written from now on goes nowhere. */
  discard(): void {
    this.#isDiscarded = true;
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
    if (this.#failure || this.#isDiscarded) {
      done(this.#failure);
      return;
    }
    const piece = bytes.subarray(0, Math.min(this.#credit, MAX_DATA_BYTES));
    if (piece.length > 0) {
      this.#credit -= piece.length;
      this.#transmit?.(piece);
    }
    const rest = bytes.subarray(piece.length);
    if (rest.length === 0) done();
    else if (this.#credit > 0) this.#send(rest, done);
    else this.#resume = () => this.#send(rest, done);
  }

  #finish(done: () => void): void {
    if (this.#transmit === undefined && !this.#failure && !this.#isDiscarded) {
      this.#resume = () => this.#finish(done);
      return;
    }
    if (!this.#failure && !this.#isDiscarded) this.#transmit?.(new Uint8Array());
    done();
  }
}
