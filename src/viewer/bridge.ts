/** Carries the bytes of one page: between its WebSocket and the screen's socket for VNC. */
import type { Socket } from 'node:net';
import { createWebSocketStream, type WebSocket } from 'ws';
import { ClientMessages } from '../rfb/client-messages.js';
import { settlesWithin } from '../util/promises.js';
import { ENDED, LOST, REFUSED } from './closings.js';

/** A page that answers no ping for so long is closed, in milliseconds. One that reads nothing answers none. */
const PING_MS = 20_000;

/** How long the end of a sandbox may come after that of its screen, in milliseconds. */
const ENDING_MS = 1000;
/** The same of one whose screen lets nobody in any more. */
const GONE_MS = 5000;

/** How long a page may take to close. */
const CLOSING_MS = 1000;

export interface BridgeOptions {
  readonly clipboard: boolean;
  /** Connects to the screen. */
  readonly dial: () => Promise<Socket>;
  /** Resolves when the sandbox has ended. */
  readonly ended: Promise<unknown>;
}

export class Bridge {
  readonly #page: WebSocket;
  readonly #options: BridgeOptions;
  #isAlive = true;

  constructor(page: WebSocket, options: BridgeOptions) {
    this.#page = page;
    this.#options = options;
  }

  /** Resolves when the page is not connected any more. */
  async carry(): Promise<void> {
    const page = this.#page;
    const closed = new Promise<void>((resolve) => page.once('close', () => resolve()));
    page.on('error', () => {});
    page.on('pong', () => {
      this.#isAlive = true;
    });
    const pinging = setInterval(() => this.#ping(), PING_MS);
    // Bytes that come before the screen is there are kept.
    const stream = createWebSocketStream(page);
    // What went wrong is known by then: the page is gone, or was closed.
    stream.on('error', () => {});
    try {
      const screen = await this.#dial();
      if (screen !== undefined) await this.#join(stream, screen, closed);
      await closed;
    } finally {
      clearInterval(pinging);
      stream.destroy();
    }
  }

  /** Closes the page, for one of the reasons in closings.ts. One that does not close itself is cut off. */
  close(code: number): void {
    if (this.#page.readyState !== this.#page.OPEN) return;
    this.#page.close(code);
    const timer = setTimeout(() => this.#page.terminate(), CLOSING_MS);
    this.#page.once('close', () => clearTimeout(timer));
  }

  async #dial(): Promise<Socket | undefined> {
    try {
      const screen = await this.#options.dial();
      // The page may have gone meanwhile.
      if (this.#page.readyState === this.#page.OPEN) return screen;
      screen.destroy();
    } catch {
      await this.#closeAfter(GONE_MS);
    }
    return undefined;
  }

  /** Each waits for the other if that is slow. */
  async #join(stream: ReturnType<typeof createWebSocketStream>, screen: Socket, closed: Promise<void>): Promise<void> {
    const messages = new ClientMessages(this.#options);
    messages.once('error', () => this.close(REFUSED));
    const gone = new Promise<void>((resolve) => screen.once('close', () => resolve()));
    screen.on('error', () => {});
    screen.setNoDelay?.(true);
    stream.pipe(messages).pipe(screen);
    screen.pipe(stream, { end: false });
    try {
      await Promise.race([closed, gone]);
      await this.#closeAfter(ENDING_MS);
    } finally {
      screen.destroy();
    }
  }

  async #closeAfter(milliseconds: number): Promise<void> {
    if (this.#page.readyState !== this.#page.OPEN) return;
    this.close((await settlesWithin(this.#options.ended, milliseconds)) ? ENDED : LOST);
  }

  #ping(): void {
    if (!this.#isAlive) this.#page.terminate();
    this.#isAlive = false;
    if (this.#page.readyState === this.#page.OPEN) this.#page.ping();
  }
}
