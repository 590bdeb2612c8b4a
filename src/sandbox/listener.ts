/** A Unix socket on which exactly one connection is awaited: QEMU's end of a character device. */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SandboxError } from '../errors.js';

export class Listener {
  readonly #server: Server;
  readonly #connection: Promise<Socket>;

  private constructor(server: Server, connection: Promise<Socket>) {
    this.#server = server;
    this.#connection = connection;
  }

  /**
   * @throws {SandboxError} `state-not-writable`
   */
  static async open(path: string): Promise<Listener> {
    const server = createServer({ allowHalfOpen: false });
    const connection = new Promise<Socket>((resolve) => {
      server.once('connection', (socket) => {
        // Nobody else is to be listened to.
        server.close();
        resolve(socket);
      });
    });
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
        resolve();
      });
    });
    return new Listener(server, connection);
  }

  /** The connection, when it has come. */
  get connection(): Promise<Socket> {
    return this.#connection;
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
