/** Work of which only so much is done at a time. */
import { type Deferred, deferred, unlessAborted } from './promises.js';

export class Queue {
  #free: number;
  readonly #waiting = new Set<Deferred<void>>();

  /** @param most how many are in at a time */
  constructor(most: number) {
    this.#free = most;
  }

  /**
   * Waits for its turn, in order. Call {@link leave} afterwards.
   * @throws the signal's reason if it aborts
   */
  async enter(signal?: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const turn = deferred<void>();
    this.#waiting.add(turn);
    try {
      await unlessAborted(turn.promise, signal, (reason) => reason as Error);
    } catch (error) {
      // It may have been let in meanwhile.
      if (!this.#waiting.delete(turn)) this.leave();
      throw error;
    }
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
    } else {
      this.#waiting.delete(next);
      next.resolve();
    }
  }
}
