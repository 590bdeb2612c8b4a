/** Plays what a guest plays, at the sound server of the user. There is a stream only while something is played. */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../util/errors.js';
import { PulseStream } from './pulse-stream.js';
import type { Listener } from './rfb-audio.js';
import { connectToServer, NoServer } from './server.js';

/** How long nothing is played until the stream ends, in milliseconds. A guest that begins again has the same one. */
const IDLE_MS = 2000;

/** Between two tries to get a stream. In milliseconds. */
const AGAIN_MS = 5000;

/** How long QEMU is not read from when what it gave is too much: it is ahead of the server, or broken. */
const PAUSE_MS = 20;

export class Player implements Listener {
  readonly #name: string;
  readonly #onWarning: (sentence: string) => void;
  #stream: PulseStream | undefined;
  /** Of a stream that the server has not given yet. */
  #opening: Socket | undefined;
  /** When a stream may be asked for. */
  #next = 0;
  #idle: NodeJS.Timeout | undefined;
  #hasEnded = false;

  /** @param onWarning hears of a stream that has ended by itself */
  constructor(name: string, onWarning: (sentence: string) => void) {
    this.#name = name;
    this.#onWarning = onWarning;
  }

  async play(samples: Buffer): Promise<void> {
    this.#stream ??= await this.#open();
    if (this.#stream === undefined) return;
    this.#idle = this.#idle?.refresh() ?? setTimeout(() => void this.#end(), IDLE_MS).unref();
    if (!this.#stream.play(samples)) await delay(PAUSE_MS, undefined, { ref: false });
  }

  pause(): void {
    this.#stream?.pause();
  }

  /** Plays to its end what it has. */
  async close(): Promise<void> {
    this.#hasEnded = true;
    // A server that does not answer would keep this process.
    this.#opening?.destroy();
    await this.#end();
  }

  async #open(): Promise<PulseStream | undefined> {
    if (this.#hasEnded || performance.now() < this.#next) return undefined;
    this.#next = performance.now() + AGAIN_MS;
    try {
      this.#opening = await connectToServer();
      const stream = await PulseStream.open(this.#opening, this.#name);
      if (this.#hasEnded) {
        await stream.end();
        return undefined;
      }
      void stream.ended.then((error) => this.#lost(stream, error));
      return stream;
    } catch (error) {
      // A sandbox may do without a server: -v says so when it starts, and a warning when its server is lost.
      if (!(error instanceof NoServer || this.#hasEnded)) this.#warn(error);
      return undefined;
    } finally {
      this.#opening = undefined;
    }
  }

  #lost(stream: PulseStream, error: Error | undefined): void {
    if (this.#stream !== stream) return;
    this.#forget();
    if (error !== undefined) this.#warn(error);
  }

  #warn(error: unknown): void {
    this.#onWarning(`the sandbox is silent for now: ${messageOf(error)}`);
  }

  async #end(): Promise<void> {
    const stream = this.#stream;
    this.#forget();
    // It ended as it should.
    this.#next = 0;
    await stream?.end();
  }

  #forget(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#stream = undefined;
  }
}
