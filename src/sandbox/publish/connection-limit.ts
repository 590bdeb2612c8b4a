/** How many connections of a sandbox are carried at once. */
import type { Socket } from 'node:net';

/** Half of the processes that may run in a sandbox at once: others can always be started beside. */
const MOST_CONNECTIONS = 128;

/** Connections of all ports of a sandbox count together. */
export class ConnectionLimit {
  #free = MOST_CONNECTIONS;
  /** In the order in which they have come. */
  readonly #waiting = new Map<Socket, () => void>();

  /** Calls `carry` when it is the socket's turn. A socket that closes before is forgotten. */
  carry(socket: Socket, carry: () => Promise<void>): void {
    if (socket.destroyed) return;
    if (this.#free > 0) {
      this.#free -= 1;
      void this.#run(carry);
      return;
    }
    const forget = () => this.#waiting.delete(socket);
    socket.once('close', forget);
    this.#waiting.set(socket, () => {
      socket.off('close', forget);
      void this.#run(carry);
    });
  }

  async #run(carry: () => Promise<void>): Promise<void> {
    try {
      await carry();
    } finally {
      this.#next();
    }
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#free += 1;
      return;
    }
    const [socket, run] = first;
    this.#waiting.delete(socket);
    run();
  }
}
