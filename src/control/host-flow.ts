/** Bounds what a host at a connection costs: its socket is read no further while it has too much unread or unanswered. */
import type { Socket } from 'node:net';
import type { Channel } from '../protocol/channel.js';

const MOST_UNREAD_BYTES = 1 << 20;
const MOST_CALLS = 64;
const MOST_CALL_BYTES = 4 << 20;
/** What the guest has before it, of all hosts. */
const MOST_BACKLOG_BYTES = 4 << 20;

export class HostFlow {
  readonly #socket: Socket;
  readonly #channel: Channel;
  #calls = 0;
  #callBytes = 0;
  #awaitsGuest = false;

  constructor(socket: Socket, channel: Channel) {
    this.#socket = socket;
    this.#channel = channel;
    socket.on('drain', () => this.regulate());
  }

  /** Counts a call that the guest has to answer. @returns what is called then */
  begin(bytes: number): () => void {
    this.#calls += 1;
    this.#callBytes += bytes;
    return () => {
      this.#calls -= 1;
      this.#callBytes -= bytes;
      this.regulate();
    };
  }

  /** Reads on, or not. Called whenever something was read or written. */
  regulate(): void {
    if (this.#socket.destroyed) return;
    if (!this.#awaitsGuest && this.#channel.backlog > MOST_BACKLOG_BYTES) {
      this.#awaitsGuest = true;
      this.#channel.onceTaken(() => {
        this.#awaitsGuest = false;
        this.regulate();
      });
    }
    const mustWait =
      this.#awaitsGuest ||
      this.#socket.writableLength > MOST_UNREAD_BYTES ||
      this.#calls >= MOST_CALLS ||
      this.#callBytes > MOST_CALL_BYTES;
    if (mustWait) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }
}
