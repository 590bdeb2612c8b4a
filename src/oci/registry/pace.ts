/** How fast an answer comes. A byte now and then is no silence, and would keep a pull for ever. */
import type { Patience } from './options.js';

export class Pace {
  #since = performance.now();
  /** Milliseconds that were waited, and bytes that came meanwhile. */
  #waited = 0;
  #received = 0;

  constructor(private readonly patience: Pick<Patience, 'silence' | 'least'>) {}

  /** To be called before the next piece is waited for: what its reader does meanwhile takes no time of the sender's. */
  wait(): void {
    this.#since = performance.now();
  }

  /**
   * To be called with each piece as it comes.
   * @returns false: it comes too slowly
   */
  receive(bytes: number): boolean {
    this.#waited += performance.now() - this.#since;
    this.#received += bytes;
    if (this.#waited < this.patience.silence) return true;
    if (this.#received < this.patience.least) return false;
    [this.#waited, this.#received] = [0, 0];
    return true;
  }
}
