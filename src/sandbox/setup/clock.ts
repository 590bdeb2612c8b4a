/**
 * Sets the guest's clock from the host's.
 *
 * The time is stale when the guest gets it, by less than the round trip. So a short round trip proves that the clock is
 * right. After a long one, on a busy host, the time is sent again.
 */
import type { Guest } from '../../protocol/operations.js';

/** The largest error of a clock that counts as right, with the native init, in milliseconds. */
const OLD_MS = 25;

/** How often the time is sent again before the sandbox goes on with a wrong clock. */
const MOST_TRIES = 20;

interface Time {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

export class GuestClock {
  /** Settles when the guest has first answered. */
  readonly set: Promise<void>;
  readonly #guest: Guest;
  readonly #mostMs: number;
  #sentAt = 0;
  #took = Number.POSITIVE_INFINITY;
  #resolve: () => void = () => {};

  /** @param mostMs the longest round trip that proves the clock right, in milliseconds: its error is at most that */
  constructor(guest: Guest, mostMs = OLD_MS) {
    this.#guest = guest;
    this.#mostMs = mostMs;
    this.set = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The time. Send it at once. */
  now(): Time {
    this.#sentAt = performance.now();
    const now = BigInt(Date.now());
    return { seconds: now / 1000n, nanoseconds: Number(now % 1000n) * 1_000_000 };
  }

  /** Call this when the guest has answered. */
  answered(): void {
    this.#took = performance.now() - this.#sentAt;
    this.#resolve();
  }

  get isRight(): boolean {
    return this.#took <= this.#mostMs;
  }

  /** A sentence for the user, if the clock may be wrong. */
  get warning(): string {
    const late = Math.round(this.#took);
    return `the guest's clock may be late by ${late} ms: this host is too busy to say sooner what time it is`;
  }

  /** Sends the time until a round trip is short enough. */
  async correct(): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES && !this.isRight; tries += 1) {
      await this.#guest.call({ op: 'setClock', ...this.now() });
      this.answered();
    }
  }
}
