/** A Unix socket on which exactly one connection is awaited: QEMU's end of a character device. */
import { chmodSync, chownSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, SandboxError } from '../errors.js';

export class Listener {
  readonly #server: Server;
  readonly #connection: Promise<Socket>;
  #owner: number | undefined;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#connection = new Promise<Socket>((resolve) => {
      server.once('connection', (socket) => {
        // Nobody else is to be listened to, and the socket is removed.
        this.#owner = statSync(path).uid;
        this.close();
        resolve(socket);
      });
    });
  }

  /**
   * @param owner who may connect, where libvirt does not see to that
   * @throws {SandboxError} `state-not-writable`
   */
  static async open(path: string, owner?: number): Promise<Listener> {
    const server = createServer({ allowHalfOpen: false });
    const listener = new Listener(server, path);
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

  /** The connection, when it has come. */
  get connection(): Promise<Socket> {
    return this.#connection;
  }

  /** Whose the socket was when the connection came: libvirt makes it that of QEMU's user. */
  get owner(): number | undefined {
    return this.#owner;
  }

  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}
