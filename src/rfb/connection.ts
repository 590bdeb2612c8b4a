/**
 * The client's end of a connection to a VNC server, from its greeting on: https://www.rfc-editor.org/rfc/rfc6143. The server
 * may be a program of a guest, which says what it wants and as much as it wants, or nothing: each read has a bound and a
 * time limit, and what is not asked for stays in the stream, which holds few bytes.
 */
import type { Duplex } from 'node:stream';

/** Most bytes of one {@link RfbConnection.read}. */
export const MOST_READ = 1 << 20;

/** Pixels. A larger screen is refused. */
export const MOST_SIDE = 4095;

/** Bytes of the name of a desktop, or of a reason. */
const MOST_TEXT = 1024;

const VERSION = 'RFB 003.008\n';
const NO_PASSWORD = 1;
const SHARED = 1;
const PIECE = 65_536;

/** Without `timeoutMs`, what one read or write may take. In milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * `closed`: the server has gone, or this end closed. `timeout`: it says or takes nothing for too long. `protocol`: it speaks
 * something else. `bound`: it wants to send too much. `refused`: it lets nobody in, or not without a password.
 */
export type RfbFault = 'closed' | 'timeout' | 'protocol' | 'bound' | 'refused';

/** The connection is of no use any more. The message may hold what the server said: escape it before it is printed. */
export class RfbError extends Error {
  readonly fault: RfbFault;

  constructor(fault: RfbFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RfbError';
    this.fault = fault;
  }
}

export interface RfbOptions {
  /** For each read and each write, as a whole. Default: 10 seconds. In milliseconds; Infinity: as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

export class RfbConnection {
  readonly #stream: Duplex;
  readonly #timeoutMs: number;
  #failure: RfbError | undefined;
  /** Of who waits for bytes, or to have written them. */
  readonly #waiting = new Set<() => void>();
  #width = 0;
  #height = 0;
  #name = '';

  private constructor(stream: Duplex, { timeoutMs = PATIENCE_MS }: RfbOptions) {
    this.#stream = stream;
    this.#timeoutMs = timeoutMs;
    stream.on('readable', () => this.#wake());
    stream.on('error', (error: Error) => this.#fail(new RfbError('closed', error.message, error)));
    for (const event of ['end', 'close'])
      stream.on(event, () => this.#fail(new RfbError('closed', 'the VNC server has closed the connection')));
  }

  /**
   * Goes through the handshake, without a password, and lets other viewers stay.
   * @param stream is the connection's from now on. Nothing may have read from it, nor wait for its data
   * @throws {RfbError}
   */
  static async open(stream: Duplex, options: RfbOptions = {}): Promise<RfbConnection> {
    const connection = new RfbConnection(stream, options);
    try {
      await connection.#handshake();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Pixels, as the server said at first: 1 to {@link MOST_SIDE}. */
  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  /** Of the desktop; the server may have written anything. */
  get name(): string {
    return this.#name;
  }

  /** Why it is over; undefined: it is not. */
  get failure(): RfbError | undefined {
    return this.#failure;
  }

  /**
   * The next bytes, all of them. One read at a time.
   * @param count 0 to {@link MOST_READ}
   * @throws {RfbError}
   */
  async read(count: number): Promise<Buffer> {
    if (count > MOST_READ) throw this.#fail(new RfbError('bound', `the VNC server sends ${count} bytes at once`));
    const parts: Buffer[] = [];
    await this.#pass(count, (part) => parts.push(part));
    return Buffer.concat(parts);
  }

  /**
   * Passes over the next bytes, without keeping them.
   * @throws {RfbError}
   */
  async skip(count: number): Promise<void> {
    await this.#pass(count, () => {});
  }

  /**
   * Resolves when the other end has room for what may follow.
   * @throws {RfbError}
   */
  async write(bytes: Uint8Array): Promise<void> {
    let isWritten = false;
    if (this.#failure !== undefined) throw this.#failure;
    this.#stream.write(bytes, (error) => {
      isWritten = !error;
      this.#wake();
    });
    await this.#until(() => isWritten);
  }

  /** Ends it at once, also for who waits: each gets the error. */
  close(error = new RfbError('closed', 'the connection was closed')): void {
    this.#fail(error);
  }

  async #pass(count: number, take: (part: Buffer) => void): Promise<void> {
    let missing = count;
    await this.#until(() => {
      while (missing > 0) {
        const part = this.#stream.read(Math.min(missing, this.#stream.readableLength, PIECE)) as Buffer | null;
        if (part === null) return false;
        take(part);
        missing -= part.length;
      }
      return true;
    });
  }

  /** @throws {RfbError} */
  async #until(isDone: () => boolean): Promise<void> {
    const giveUp = () => this.#fail(new RfbError('timeout', `the VNC server stands still for ${this.#timeoutMs} ms`));
    const timer = this.#timeoutMs === Infinity ? undefined : setTimeout(giveUp, this.#timeoutMs);
    try {
      for (;;) {
        // What was sent before the end is read to its end.
        if (isDone()) return;
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #wake(): void {
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }

  /** Only the first reason counts. */
  #fail(error: RfbError): RfbError {
    this.#failure ??= error;
    this.#stream.destroy();
    this.#wake();
    return this.#failure;
  }

  async #handshake(): Promise<void> {
    const version = (await this.read(VERSION.length)).toString('latin1');
    if (version !== VERSION)
      throw new RfbError('protocol', `the VNC server speaks another protocol: ${quote(version)}`);
    await this.write(Buffer.from(VERSION, 'latin1'));
    const [count = 0] = await this.read(1);
    if (count === 0) throw new RfbError('refused', `the VNC server lets nobody in: ${await this.#text()}`);
    if (!(await this.read(count)).includes(NO_PASSWORD))
      throw new RfbError('refused', 'the VNC server asks for a password');
    await this.write(Buffer.of(NO_PASSWORD));
    const result = (await this.read(4)).readUInt32BE();
    if (result !== 0) throw new RfbError('refused', `the VNC server lets nobody in: ${await this.#text()}`);
    await this.write(Buffer.of(SHARED));
    // Then the format of its pixels, which a client chooses anew.
    const said = await this.read(20);
    const [width, height] = [said.readUInt16BE(0), said.readUInt16BE(2)];
    if (![width, height].every((side) => side >= 1 && side <= MOST_SIDE))
      throw new RfbError('bound', `the VNC server has a screen of ${width}x${height}`);
    [this.#width, this.#height, this.#name] = [width, height, await this.#text()];
  }

  async #text(): Promise<string> {
    const length = (await this.read(4)).readUInt32BE();
    if (length > MOST_TEXT) throw new RfbError('bound', `the VNC server sends a name or reason of ${length} bytes`);
    return (await this.read(length)).toString('utf8');
  }
}

function quote(text: string): string {
  return JSON.stringify(text);
}
