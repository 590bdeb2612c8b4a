import { unlessAborted } from '../../util/promises.js';
import { abortError } from './boot-errors.js';

/** A deadline for the whole start, which the caller's signal cuts short. Paused at a breakpoint. */
export class Deadline {
  readonly #expired: Promise<void>;
  readonly #expire: () => void;
  #timer: NodeJS.Timeout;
  #left: number;
  #since = Date.now();
  readonly #signal: AbortSignal | undefined;
  readonly #whole: number;

  constructor(milliseconds: number, signal: AbortSignal | undefined) {
    let expire!: () => void;
    this.#expired = new Promise((resolve) => {
      expire = resolve;
    });
    this.#expire = expire;
    this.#left = milliseconds;
    this.#whole = milliseconds;
    this.#timer = setTimeout(expire, milliseconds);
    this.#signal = signal;
  }

  /**
   * Waits for `promise` until the deadline.
   * @throws what `expired` returns; {@link abortError} if the caller aborts
   */
  bound<T>(promise: Promise<T>, expired: () => Error): Promise<T> {
    const late = this.#expired.then((): never => {
      throw expired();
    });
    late.catch(() => {});
    return unlessAborted(Promise.race([promise, late]), this.#signal, abortError);
  }

  /** Pauses the clock until {@link resume}, for a breakpoint. */
  suspend(): void {
    clearTimeout(this.#timer);
    this.#left -= Date.now() - this.#since;
  }

  resume(): void {
    this.#since = Date.now();
    this.#timer = setTimeout(this.#expire, Math.max(0, this.#left));
  }

  /** Restarts the clock: work that may take long has just made progress. */
  renew(): void {
    clearTimeout(this.#timer);
    this.#left = this.#whole;
    this.resume();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
