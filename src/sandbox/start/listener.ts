/** A Unix socket on which as many connections are awaited as QEMU has character devices that connect to it: as a rule one. */
import { chmodSync, chownSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SandboxError } from '../../util/errors.js';

export class Listener {
  readonly #server: Server;
  readonly #connections: Promise<Socket>[];
  #owner: number | undefined;

  private constructor(server: Server, path: string, count: number) {
    this.#server = server;
    const waiting: ((socket: Socket) => void)[] = [];
    this.#connections = Array.from({ length: count }, () => new Promise((resolve) => waiting.push(resolve)));
    server.on('connection', (socket) => {
      this.#owner ??= statSync(path).uid;
      waiting.shift()?.(socket);
      // Nobody else is to be listened to, and the socket is removed.
      if (waiting.length === 0) this.close();
    });
  }

  /**
   * @param owner who may connect, where libvirt does not see to that
   * @param count of connections
   * @throws {SandboxError} `state-not-writable`
   */
  static async open(
    path: string,
    { owner, count = 1 }: { owner?: number | undefined; count?: number } = {},
  ): Promise<Listener> {
    const server = createServer({ allowHalfOpen: false });
    const listener = new Listener(server, path, count);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new SandboxError({
            stage: 'config',
            code: 'state-not-writable',
            message: `cannot listen on ${path}: ${messageOf(error)}`,
            remedy: 'make that directory writable for you',
            cause: error,
          }),
        ),
      );
      server.listen(path, () => {
        // Whatever the umask is, only its owner may connect: libvirt makes that the user of QEMU.
        chmodSync(path, 0o600);
        if (owner !== undefined && process.geteuid?.() === 0) chownSync(path, owner, process.getegid?.() ?? 0);
        resolve();
      });
    });
    return listener;
  }

  /** The first connection, when it has come. */
  get connection(): Promise<Socket> {
    return this.connectionAt(0);
  }

  /** A connection by its number, when it has come; never when there is none to come. */
  connectionAt(number: number): Promise<Socket> {
    return this.#connections[number] ?? new Promise(() => {});
  }

  /** Whose the socket was when a connection came: libvirt makes it that of QEMU's user. */
  get owner(): number | undefined {
    return this.#owner;
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
