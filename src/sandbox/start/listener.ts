/** A Unix socket for a fixed number of connections: one for each character device of QEMU that connects to it. */
import { chmodSync, chownSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SandboxError } from '../../util/errors.js';
import { asSocketForQemu } from '../../util/selinux.js';
import { shortageOf } from '../../util/shortage.js';

interface ListenerOptions {
  readonly owner?: number | undefined;
  readonly count?: number;
  readonly handed?: number;
  readonly hand?: (socket: Socket) => void;
}

export class Listener {
  readonly #server: Server;
  readonly #connections: Promise<Socket>[];

  private constructor(server: Server, count: number, handed: number, hand: (socket: Socket) => void) {
    this.#server = server;
    const waiting: ((socket: Socket) => void)[] = [];
    this.#connections = Array.from({ length: count }, () => new Promise((resolve) => waiting.push(resolve)));
    let left = handed;
    server.on('connection', (socket) => {
      const take = waiting.shift();
      if (take !== undefined) take(socket);
      else if (left > 0) {
        left -= 1;
        hand(socket);
      }
      // Accept no further connection, and remove the socket.
      if (waiting.length + left === 0) this.close();
    });
  }

  /**
   * @param options `owner`: the user who may connect, if libvirt does not set it; `count`: of connections, default 1;
   *   `handed`: of further connections, each given to `hand` before anything is read from it, default 0
   * @throws {SandboxError} `state-not-writable`
   */
  static async open(
    path: string,
    { owner, count = 1, handed = 0, hand = () => {} }: ListenerOptions = {},
  ): Promise<Listener> {
    const server = createServer({ allowHalfOpen: false });
    const listener = new Listener(server, count, handed, hand);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new SandboxError({
            stage: 'config',
            code: 'state-not-writable',
            message: `cannot listen on ${path}: ${messageOf(error)}`,
            remedy: shortageOf(error) === 'space' ? 'free some space there' : 'make that directory writable for you',
            cause: error,
          }),
        ),
      );
      server.once('listening', () => {
        // Only its owner may connect, whatever the umask. libvirt makes QEMU's user the owner.
        chmodSync(path, 0o600);
        if (owner !== undefined && process.geteuid?.() === 0) chownSync(path, owner, process.getegid?.() ?? 0);
        resolve();
      });
      asSocketForQemu(() => server.listen(path));
    });
    return listener;
  }

  /** The first connection. */
  get connection(): Promise<Socket> {
    return this.connectionAt(0);
  }

  /** A connection by its number, from 0. Never settles if there is none of that number. */
  connectionAt(number: number): Promise<Socket> {
    return this.#connections[number] ?? new Promise(() => {});
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
