/** A display server inside, which a program of the sandbox may be: it may say anything, and as much as it wants. */
import type { Readable, Writable } from 'node:stream';
import type { Builtin } from '../process/builtin.js';

/** More than a server says until a size is set. */
const MOST_BYTES = 1 << 20;

/** It does not do what is asked. */
export class DisplayError extends Error {
  override readonly name = 'DisplayError';
}

/** A connection to one. */
export class DisplayPeer {
  readonly #stdin: Writable;
  readonly #pieces: AsyncIterator<Buffer>;
  #bytes = Buffer.alloc(0);
  #left = MOST_BYTES;

  constructor({ stdin, stdout }: { readonly stdin: Writable; readonly stdout: Readable }) {
    this.#stdin = stdin;
    this.#pieces = (stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    stdin.on('error', () => {});
  }

  write(...messages: readonly Uint8Array[]): void {
    this.#stdin.write(Buffer.concat(messages));
  }

  /** @throws {DisplayError} if it ends before, or says too much */
  async read(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      const { done, value } = await this.#pieces.next();
      if (done) throw new DisplayError('it ended the connection');
      this.#left -= value.length;
      if (this.#left < 0 || count > MOST_BYTES) throw new DisplayError('it says too much');
      this.#bytes = Buffer.concat([this.#bytes, value]);
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }
}

/**
 * Runs `use` with a connection to a display server, and ends that.
 * @param connection a `connect` of the init to the server's socket
 * @throws {DisplayError} if it ends before `use` does; what `use` throws
 */
export async function talkTo<T>(connection: Builtin, use: (peer: DisplayPeer) => Promise<T>): Promise<T> {
  try {
    const ended = connection.ended.then(() => Promise.reject(new DisplayError('it ended the connection')));
    const using = use(new DisplayPeer(connection));
    // Where both fail, the connection says why.
    using.catch(() => {});
    return await Promise.race([using, ended]);
  } finally {
    void connection.kill();
    connection.stdout.destroy();
  }
}

/** Numbers of four bytes in a row, in the order of bytes that machines here have. */
export function words(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [at, number] of numbers.entries()) bytes.writeUInt32LE(number >>> 0, 4 * at);
  return bytes;
}

/** Filled up to four bytes, as both protocols want it. */
export function padded(text: Uint8Array): Buffer {
  return Buffer.concat([text, Buffer.alloc(-text.length & 3)]);
}
