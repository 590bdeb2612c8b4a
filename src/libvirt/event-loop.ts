/** libvirt's default event loop, one iteration at a time on a worker thread, while it is wanted. */
import koffi from 'koffi';
import type { Functions } from './functions.js';
import { isAsking, onWorker } from './worker-calls.js';

export class EventLoop {
  readonly #functions: Functions;
  /** Address of virEventRemoveTimeout. */
  readonly #removeTimeout: bigint;
  #registered = false;
  /** How often {@link hold} was called, and not undone. */
  #holders = 0;
  #running: Promise<void> | undefined;

  constructor(functions: Functions, removeTimeout: bigint) {
    this.#functions = functions;
    this.#removeTimeout = removeTimeout;
    const exit = koffi.load(null).func('_exit', 'void', ['int']);
    // Node.js waits for its worker threads when it exits, so the one that waits in the event loop must be woken up.
    process.on('exit', (code) => {
      if (this.#running) this.#wake();
      // A daemon that never answers would block the exit forever. The process takes the connection with it, and so the
      // domain.
      if (isAsking()) exit(code);
    });
  }

  /** Call this before the first connection is opened. */
  register(): void {
    if (!this.#registered) this.#functions.registerDefaultImpl();
    this.#registered = true;
  }

  /** Keeps the loop running until the returned function is called. That one resolves when no thread is in the loop. */
  hold(): () => Promise<void> {
    this.#holders += 1;
    this.#running ??= this.#run();
    return async () => {
      this.#holders -= 1;
      if (this.#holders > 0) return;
      this.#wake();
      await this.#running;
    };
  }

  async #run(): Promise<void> {
    while (this.#holders > 0) await onWorker(this.#functions.runDefaultImpl);
    this.#running = undefined;
  }

  /**
   * Ends the iteration that waits, by a timer that is due. The timer calls libvirt's own function to remove itself: a
   * callback into JavaScript would need the main thread, which may be exiting and waiting for this one.
   */
  #wake(): void {
    this.#functions.addTimeout(0, this.#removeTimeout, null, null);
  }
}
