/**
 * The guest's clock, set from this one's.
 *
 * What the guest is told is old when it hears of it: by less than the time until its answer is here. So when the answer comes soon the clock is
 * known to be right; when it does not, on a busy host, the guest is told again.
 */
import type { Guest } from '../../protocol/operations.js';

/** What the native init keeps to, in milliseconds. */
const OLD_MS = 25;

/** How often it is told again before the sandbox goes on with a clock that is less than right. */
const MOST_TRIES = 20;

interface Time {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

export class GuestClock {
  /** Settles when the guest has answered. */
  readonly set: Promise<void>;
  readonly #guest: Guest;
  readonly #mostMs: number;
  #sentAt = 0;
  #took = Number.POSITIVE_INFINITY;
  #resolve: () => void = () => {};

  /** @param mostMs how old the time may be that the guest was told, in milliseconds; its clock is then off by no more than that */
  constructor(guest: Guest, mostMs = OLD_MS) {
    this.#guest = guest;
    this.#mostMs = mostMs;
    this.set = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The time to send, at once. */
  now(): Time {
    this.#sentAt = performance.now();
    const now = BigInt(Date.now());
    return { seconds: now / 1000n, nanoseconds: Number(now % 1000n) * 1_000_000 };
  }

  /** The guest has set its clock. */
  answered(): void {
    this.#took = performance.now() - this.#sentAt;
    this.#resolve();
  }

  get isRight(): boolean {
    return this.#took <= this.#mostMs;
  }

  /** For a person, where it is not known to be right. */
  get warning(): string {
    return `the guest's clock may be late by ${Math.round(this.#took)} ms: this host is too busy to say sooner what time it is`;
  }

  /** Tells the guest the time until it hears of it soon enough. */
  async correct(): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES && !this.isRight; tries += 1) {
      await this.#guest.call({ op: 'setClock', ...this.now() });
      this.answered();
    }
  }
}
