/** The application's stdout and stderr, as streams of the launcher. */
import { type Duplex, PassThrough, type Readable } from 'node:stream';
import { Proc } from './wire.js';

type OutputProc = typeof Proc.STDOUT | typeof Proc.STDERR;

const BUFFER_BYTES = 1 << 20;

/** Two streams. While one of them is full, nothing is read from the guest, which then throttles the application. */
export class OutputStreams {
  readonly #transport: Duplex;
  readonly #stdout = new PassThrough({ highWaterMark: BUFFER_BYTES });
  readonly #stderr = new PassThrough({ highWaterMark: BUFFER_BYTES });
  /** The full streams. */
  readonly #blocked = new Set<PassThrough>();

  constructor(transport: Duplex) {
    this.#transport = transport;
  }

  get stdout(): Readable {
    return this.#stdout;
  }

  get stderr(): Readable {
    return this.#stderr;
  }

  /** Passes bytes on to a stream. Ignores them if its reader is gone. */
  write(proc: OutputProc, bytes: Buffer): void {
    const stream = this.#stream(proc);
    if (stream.writableEnded || stream.destroyed) return;
    if (!stream.write(bytes)) this.#block(stream);
  }

  /** Ends one stream. */
  end(proc: OutputProc): void {
    this.#stream(proc).end();
  }

  /** Ends both streams. */
  endAll(): void {
    this.#stdout.end();
    this.#stderr.end();
  }

  #stream(proc: OutputProc): PassThrough {
    return proc === Proc.STDOUT ? this.#stdout : this.#stderr;
  }

  #block(stream: PassThrough): void {
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
}
