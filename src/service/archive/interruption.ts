/**
 * Ends a wait before what is waited for. Promise.race() with one long promise would keep a reaction in memory for each
 * piece of an archive.
 */
export class Interruption {
  #error: { readonly reason: unknown } | undefined;
  #reject: (reason: unknown) => void = () => {};

  /** The wait of this moment, and each that follows, ends with that error. */
  interrupt(reason: unknown): void {
    this.#error ??= { reason };
    this.#reject(reason);
  }

  /** One wait at a time. */
  guard<T>(waiting: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      waiting.then(resolve, reject);
      if (this.#error) reject(this.#error.reason);
    });
  }
}
