/** Bounds what a host at a connection costs: its socket is read no further while it has too much unread or unanswered. */
import type { Socket } from 'node:net';
import type { Channel } from '../protocol/channel.js';
import type { PacketHeader } from '../protocol/packets.js';

const MOST_UNREAD_BYTES = 1 << 20;
/** More than that a host does not get: processes have written it that have ended, and no window counts it any more. */
const MOST_WAITING_BYTES = 32 << 20;
const MOST_CALLS = 64;
const MOST_CALL_BYTES = 4 << 20;
/** What the guest has before it, of all hosts. */
const MOST_BACKLOG_BYTES = 4 << 20;

export class HostFlow {
  readonly #socket: Socket;
  readonly #channel: Channel | undefined;
  readonly #take: (header: PacketHeader, payload: Buffer) => void;
  /** What was read when nothing more was to be taken: at most what comes at once. */
  #held: [header: PacketHeader, payload: Buffer][] = [];
  #isTaking = false;
  #calls = 0;
  #callBytes = 0;
  #awaitsGuest = false;

  /**
   * @param channel to the guest, if there is one
   * @param take called with each packet when there is room for what it begins; throws nothing
   */
  constructor(socket: Socket, channel: Channel | undefined, take: (header: PacketHeader, payload: Buffer) => void) {
    this.#socket = socket;
    this.#channel = channel;
    this.#take = take;
    socket.on('drain', () => this.regulate());
  }

  /** A packet was read. */
  receive(header: PacketHeader, payload: Buffer): void {
    this.#held.push([header, payload]);
    this.#takeHeld();
  }

  /** Nothing more is taken from it now. */
  get #isFull(): boolean {
    return (
      this.#awaitsGuest ||
      this.#socket.writableLength > MOST_UNREAD_BYTES ||
      this.#calls >= MOST_CALLS ||
      this.#callBytes > MOST_CALL_BYTES
    );
  }

  /** The host reads too little of what it gets. */
  get isStuck(): boolean {
    return this.#socket.writableLength > MOST_WAITING_BYTES;
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
    if (this.#channel && !this.#awaitsGuest && this.#channel.backlog > MOST_BACKLOG_BYTES) {
      this.#awaitsGuest = true;
      this.#channel.onceTaken(() => {
        this.#awaitsGuest = false;
        this.regulate();
      });
    }
    this.#takeHeld();
    if (this.#isFull) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #takeHeld(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    let taken = 0;
    for (; taken < this.#held.length && !this.#socket.destroyed && !this.#isFull; taken += 1) {
      const [header, payload] = this.#held[taken] ?? [];
      if (header && payload) this.#take(header, payload);
    }
    this.#held.splice(0, taken);
    this.#isTaking = false;
  }
}
