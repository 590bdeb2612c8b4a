/** Keeps a number of things ready: makes them ahead, and gives each away once, to whoever asked first. */
import { type Deferred, deferred } from '../../util/promises.js';

/** How often in a row things may fail before those who wait are told, and no more are made until somebody asks. */
export const MOST_FAILURES = 3;

/**
 * One that ends sooner than this after it was made has failed, in milliseconds. One that ends later has something against
 * it that the next one need not have.
 */
export const SHORT_LIFE_MS = 10_000;

/** How many are made at a time. */
export const AT_ONCE = 2;

/** What a stock does with its things. */
export interface Supply<T> {
  /** Makes one. Rejects soon when the signal aborts, and leaves nothing then. */
  make(signal: AbortSignal): Promise<T>;
  /** Settles when the thing is of no use any more. */
  ended(item: T): Promise<unknown>;
  /** Ends a thing that nobody gets. Never rejects. */
  discard(item: T): Promise<void>;
  /** Told of each failure, also of one that is made up for. */
  onFailure(error: unknown): void;
}

export interface StockState {
  readonly idle: number;
  readonly starting: number;
}

export class Stock<T> {
  readonly #size: number;
  readonly #restMs: () => number;
  readonly #supply: Supply<T>;
  readonly #idle: T[] = [];
  readonly #waiting: Deferred<T>[] = [];
  readonly #fillings: Deferred<void>[] = [];
  readonly #making = new Set<Promise<void>>();
  readonly #ending = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  /** Since the last call of {@link succeeded}. */
  #failures = 0;
  #closed: Promise<void> | undefined;
  #rest: NodeJS.Timeout | undefined;

  /**
   * @param size how many to keep ready. None is made before {@link fill}.
   * @param restMs tells how long none is made after one was taken, unless somebody waits, in milliseconds
   */
  constructor(size: number, restMs: () => number, supply: Supply<T>) {
    this.#size = size;
    this.#restMs = restMs;
    this.#supply = supply;
  }

  get state(): StockState {
    return { idle: this.#idle.length, starting: this.#making.size };
  }

  /** Those that are ready, the oldest first. */
  get idle(): readonly T[] {
    return this.#idle;
  }

  /** Adds one that was made elsewhere, and makes the others. */
  add(item: T): void {
    this.#keep(item);
    this.fill();
  }

  /** Begins to make what is missing. */
  fill(): void {
    while (this.#lacks() && this.#making.size < AT_ONCE) {
      const making = this.#make().finally(() => {
        this.#making.delete(making);
        this.fill();
      });
      this.#making.add(making);
    }
    if (this.#idle.length < this.#size) return;
    for (const filling of this.#fillings.splice(0)) filling.resolve();
  }

  /** Resolves when all are ready. @throws the reason of {@link close}, or the last failure where too many have failed */
  filled(): Promise<void> {
    if (this.#idle.length >= this.#size) return Promise.resolve();
    const filling = deferred<void>();
    if (this.#closing.signal.aborted) filling.reject(this.#closing.signal.reason);
    else this.#fillings.push(filling);
    this.#askAgain();
    return filling.promise;
  }

  /**
   * Takes the oldest one, or waits for one.
   * @param first comes before all who wait: for one who was given a thing of no use
   * @throws the reason of `signal` or of {@link close}, or the last failure where too many have failed
   */
  async take(signal: AbortSignal | undefined, first = false): Promise<T> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const item = this.#idle.shift();
    if (item !== undefined) {
      // To make the next one takes the processors from the one that was taken, which has something to do.
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => this.fill(), this.#restMs());
      return item;
    }
    const waiting = deferred<T>();
    if (first) this.#waiting.unshift(waiting);
    else this.#waiting.push(waiting);
    const leave = () => this.#leave(waiting, signal?.reason);
    signal?.addEventListener('abort', leave, { once: true });
    this.#askAgain();
    return waiting.promise.finally(() => signal?.removeEventListener('abort', leave));
  }

  /** A thing that was taken has served. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * A thing that was just made is of no use.
   * @returns whether too many have failed
   */
  failed(error: unknown): boolean {
    this.#failures += 1;
    this.#supply.onFailure(error);
    if (this.#failures < MOST_FAILURES) return false;
    for (const waiting of [...this.#waiting.splice(0), ...this.#fillings.splice(0)]) waiting.reject(error);
    return true;
  }

  /** False if too many have failed, so that no more are made until somebody asks. */
  get isWorking(): boolean {
    return this.#failures < MOST_FAILURES;
  }

  /** Ends those that are ready and of which `isOver` says so, and makes others. */
  discardIf(isOver: (item: T) => boolean): void {
    for (const item of this.#idle.filter(isOver)) {
      this.#idle.splice(this.#idle.indexOf(item), 1);
      this.discard(item);
    }
    this.fill();
  }

  /** Ends a thing; {@link close} and {@link discarded} wait for that. */
  discard(item: T): void {
    const ending = this.#supply.discard(item).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** Resolves when all that were discarded until now have ended. */
  async discarded(): Promise<void> {
    await Promise.all(this.#ending);
  }

  /** Ends all that nobody has taken. Those who wait get `reason`. Resolves when nothing is left. */
  close(reason: Error): Promise<void> {
    this.#closed ??= this.#end(reason);
    return this.#closed;
  }

  async #end(reason: Error): Promise<void> {
    this.#closing.abort(reason);
    clearTimeout(this.#rest);
    for (const waiting of [...this.#waiting.splice(0), ...this.#fillings.splice(0)]) waiting.reject(reason);
    for (const item of this.#idle.splice(0)) this.discard(item);
    await Promise.all(this.#making);
    await this.discarded();
  }

  /** Whether more have to be made. */
  #lacks(): boolean {
    if (this.#closing.signal.aborted || this.#failures >= MOST_FAILURES) return false;
    return this.#idle.length + this.#making.size < this.#size + this.#waiting.length;
  }

  /** Whoever asks has things made again that have failed before. */
  #askAgain(): void {
    if (this.#failures >= MOST_FAILURES) this.#failures = 0;
    this.fill();
  }

  async #make(): Promise<void> {
    const { signal } = this.#closing;
    let item: T;
    try {
      item = await this.#supply.make(signal);
    } catch (error) {
      if (!signal.aborted) this.failed(error);
      return;
    }
    if (signal.aborted) {
      this.discard(item);
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(item);
    else this.#keep(item);
  }

  #keep(item: T): void {
    this.#idle.push(item);
    const since = performance.now();
    const lose = (error?: unknown) => {
      const at = this.#idle.indexOf(item);
      if (at < 0) return;
      this.#idle.splice(at, 1);
      if (performance.now() - since < SHORT_LIFE_MS) this.failed(error);
      else this.#supply.onFailure(error);
      this.fill();
    };
    this.#supply.ended(item).then(() => lose(), lose);
  }

  #leave(waiting: Deferred<T>, reason: unknown): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    waiting.reject(reason);
  }
}
