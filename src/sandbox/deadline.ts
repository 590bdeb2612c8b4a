import { unlessAborted } from '../promises.js';
import { abortError } from './failure.js';

/** The time that a boot may take, and the caller's wish to call it off. */
export class Deadline {
  readonly #expired: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;

  constructor(milliseconds: number, signal: AbortSignal | undefined) {
    let timer!: NodeJS.Timeout;
    this.#expired = new Promise((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    this.#timer = timer;
    this.#signal = signal;
  }

  bound<T>(promise: Promise<T>, expired: () => Error): Promise<T> {
    const late = this.#expired.then((): never => {
      throw expired();
    });
    late.catch(() => {});
    return unlessAborted(Promise.race([promise, late]), this.#signal, abortError);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
