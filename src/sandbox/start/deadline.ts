import { unlessAborted } from '../../util/promises.js';
import { abortError } from './failure.js';

/** The time that a boot may take, and the caller's wish to call it off. */
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

  bound<T>(promise: Promise<T>, expired: () => Error): Promise<T> {
    const late = this.#expired.then((): never => {
      throw expired();
    });
    late.catch(() => {});
    return unlessAborted(Promise.race([promise, late]), this.#signal, abortError);
  }

  /** The time stands still until {@link resume} is called: somebody looks around. */
  suspend(): void {
    clearTimeout(this.#timer);
    this.#left -= Date.now() - this.#since;
  }

  resume(): void {
    this.#since = Date.now();
    this.#timer = setTimeout(this.#expire, Math.max(0, this.#left));
  }

  /** It begins anew: something goes on that may take long, and has just come a step further. */
  renew(): void {
    clearTimeout(this.#timer);
    this.#left = this.#whole;
    this.resume();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
