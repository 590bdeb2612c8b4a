/**
 * A client of a VNC server that takes part in its clipboard, and in nothing else: it never asks for a picture. The server
 * hands texts of one client to the others.
 */
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred, settlesWithin } from '../util/promises.js';
import { MOST_READ, RfbConnection, RfbError } from './connection.js';
import {
  BELL,
  Clip,
  cutTextMessage,
  EXTENDED_CLIPBOARD,
  packText,
  readText,
  SERVER_CUT_TEXT,
  setEncodings,
  unpackText,
} from './cut-text.js';

/** The server says within this time that it has a clipboard. In milliseconds. */
const PATIENCE_MS = 10_000;

/** From one text that is asked for to the next. In milliseconds. */
const PAUSE_MS = 200;

export class ClipboardClient {
  /** Settles with the reason when it is over. */
  readonly ended: Promise<RfbError>;
  readonly #connection: RfbConnection;
  readonly #onText: (text: string) => void;
  readonly #ready = deferred<void>();
  /** What was offered last, as it is sent. */
  #offered: Buffer | undefined;
  #isAsking = false;
  #isProviding = false;
  #isWanted = false;

  private constructor(connection: RfbConnection, onText: (text: string) => void) {
    this.#connection = connection;
    this.#onText = onText;
    this.ended = this.#listen().then(
      () => new RfbError('closed', 'the connection was closed'),
      (error: unknown) => {
        if (!(error instanceof RfbError)) throw error;
        connection.close(error);
        return error;
      },
    );
  }

  /**
   * @param stream as of {@link RfbConnection.open}
   * @param onText gets what other clients copy: not empty, and at most {@link MOST_TEXT_BYTES} bytes in UTF-8
   * @throws {RfbError}
   */
  static async open(stream: Duplex, onText: (text: string) => void): Promise<ClipboardClient> {
    const opening = RfbConnection.open(stream, { timeoutMs: Infinity });
    // An answer that comes later finds the stream closed.
    if (!(await settlesWithin(opening, PATIENCE_MS))) stream.destroy();
    const connection = await opening;
    const client = new ClipboardClient(connection, onText);
    await connection.write(setEncodings(EXTENDED_CLIPBOARD));
    if (await settlesWithin(Promise.race([client.#ready.promise, client.ended]), PATIENCE_MS)) {
      if (connection.failure !== undefined) throw connection.failure;
      return client;
    }
    connection.close();
    throw new RfbError('protocol', 'the VNC server has no clipboard');
  }

  /**
   * Tells the other clients that there is a text. Each gets it when it asks. One that is too large is not told of.
   * @throws {RfbError}
   */
  async offer(text: string): Promise<void> {
    const packed = await packText(text);
    if (packed === undefined) return;
    this.#offered = packed;
    await this.#connection.write(cutTextMessage(Clip.NOTIFY | Clip.TEXT));
  }

  close(): void {
    this.#connection.close();
  }

  async #listen(): Promise<never> {
    for (;;) {
      const [type] = await this.#connection.read(1);
      if (type === SERVER_CUT_TEXT) await this.#receive((await this.#connection.read(7)).readInt32BE(3));
      else if (type !== BELL) throw new RfbError('protocol', `the VNC server sends what was not asked for: ${type}`);
    }
  }

  async #receive(length: number): Promise<void> {
    if (length >= 0) {
      // A server that does not speak the extension to this client, as after a restart.
      this.#take(readText(await this.#connection.read(length)));
      return;
    }
    const most = 4 + MOST_READ;
    if (-length < 4 || -length > most)
      throw new RfbError('bound', `the VNC server sends a text of ${-length} bytes at once`);
    const flags = (await this.#connection.read(4)).readUInt32BE();
    const payload = await this.#connection.read(-length - 4);
    if ((flags & Clip.CAPS) !== 0) this.#ready.resolve();
    else if ((flags & Clip.TEXT) === 0) return;
    else if ((flags & Clip.NOTIFY) !== 0) void this.#ask();
    else if ((flags & Clip.REQUEST) !== 0) void this.#provide();
    else if ((flags & Clip.PROVIDE) !== 0) this.#take(await unpackText(payload));
  }

  #take(text: string | undefined): void {
    if (text !== undefined && text !== '') this.#onText(text);
  }

  /** However often there is a new one, it asks so many times a second; the last one is asked for. */
  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    await delay(PAUSE_MS, undefined, { ref: false });
    this.#isAsking = false;
    await this.#write(cutTextMessage(Clip.REQUEST | Clip.TEXT));
  }

  /** However often it is asked, it sends one text after the other. What is sent is what was told of last. */
  async #provide(): Promise<void> {
    this.#isWanted = true;
    if (this.#isProviding) return;
    this.#isProviding = true;
    while (this.#isWanted && this.#offered !== undefined) {
      this.#isWanted = false;
      await this.#write(cutTextMessage(Clip.PROVIDE | Clip.TEXT, this.#offered));
    }
    this.#isProviding = false;
  }

  /** Why it fails is known by {@link ended}. */
  async #write(message: Buffer): Promise<void> {
    await this.#connection.write(message).catch((error: unknown) => {
      if (!(error instanceof RfbError)) throw error;
    });
  }
}
