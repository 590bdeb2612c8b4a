/** An output stream of a process in the guest, as a stream of the launcher. */
import { Readable } from 'node:stream';
import { Bytes } from '../util/bytes.js';
import { ProtocolError } from './fields.js';
import { OUTPUT_WINDOW_BYTES } from './wire.js';

/** What the reader has not asked for yet, and is kept for it before the guest has to wait, in bytes. */
const BUFFER_BYTES = 1 << 16;

/** Fewer bytes are not worth an acknowledgement. The window is larger, so the guest never waits for it. */
const ACKNOWLEDGED_BYTES = OUTPUT_WINDOW_BYTES / 4;

/**
 * The guest sends no more than the window ahead of what the reader has taken. So a stream that nobody reads holds up its
 * process, and no other.
 */
export class OutputStream {
  readonly readable: Readable;
  readonly #acknowledge: (bytes: number) => void;
  /** Received, and not acknowledged. */
  #outstanding = 0;
  /** The reader takes what comes. */
  #isWanted = false;
  /** What it does not take yet: in one piece, since pieces may be as small as a byte. */
  readonly #kept = new Bytes();
  #ended = false;

  /** @param acknowledge tells the guest that so many more bytes were taken */
  constructor(acknowledge: (bytes: number) => void) {
    this.#acknowledge = acknowledge;
    this.readable = new Readable({ highWaterMark: BUFFER_BYTES, read: () => this.#wanted() });
    // Nobody may be there to read what is left.
    this.readable.on('close', () => {
      this.#kept.take();
      this.#taken();
    });
  }

  /**
   * Passes bytes on to the reader; drops them if it is gone.
   * @throws {ProtocolError} for more bytes than the guest may send, and for bytes behind the end
   */
  write(bytes: Buffer): void {
    if (this.#ended) throw new ProtocolError('the guest sent output behind its end');
    this.#outstanding += bytes.length;
    if (this.#outstanding > OUTPUT_WINDOW_BYTES) throw new ProtocolError('the guest sent more output than it may');
    if (!this.readable.destroyed && !this.#isWanted) {
      this.#kept.add(bytes);
      return;
    }
    this.#isWanted = this.readable.destroyed || this.readable.push(bytes);
    if (this.#isWanted) this.#taken();
  }

  /** Ends the stream, once. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.readable.destroyed && this.#kept.length === 0) this.readable.push(null);
  }

  /** The reader asks for more than it was given. */
  #wanted(): void {
    this.#isWanted = true;
    const kept = this.#kept.take();
    if (kept.length > 0) this.#isWanted = this.readable.push(kept);
    if (kept.length > 0 && this.#ended) this.readable.push(null);
    else if (this.#isWanted) this.#taken();
  }

  /** The reader has taken all but what is kept. */
  #taken(): void {
    const bytes = this.#outstanding - this.#kept.length;
    if (bytes < ACKNOWLEDGED_BYTES || this.#ended) return;
    this.#outstanding -= bytes;
    this.#acknowledge(bytes);
  }
}
