/** A TCP port of this host whose connections are carried into a sandbox, once there is one. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Connection } from './connection.js';
import { listenError } from './listen-error.js';
import type { Carrier, PortServer } from './port-server.js';

/** After so long without a byte, the kernel asks whether the client is still there. */
const KEEP_ALIVE_MS = 60_000;

/** Most connections that are open or wait. A client beyond that is turned away at once. */
const MOST_SOCKETS = 512;

export class TcpServer implements PortServer {
  readonly protocol = 'tcp';
  readonly host: string;
  readonly port: number;
  readonly closed: Promise<void>;
  readonly #server: Server;
  /** Those that are open, and those whose programs have not ended by themselves. */
  readonly #connections = new Set<Connection>();
  #carrier: Carrier | undefined;

  private constructor(server: Server) {
    const { address, port } = server.address() as AddressInfo;
    this.host = address;
    this.port = port;
    this.#server = server;
    this.closed = new Promise((resolve) => server.once('close', () => resolve()));
    server.on('connection', (socket) => this.#accept(socket));
    // A connection that cannot be accepted, for want of descriptors, is lost alone.
    server.on('error', () => {});
    server.unref();
  }

  /**
   * Listens. Connections wait until {@link serve}.
   * @param host an IP address
   * @param port 0: a free one
   * @throws {SandboxError} `port-taken`, `port-not-allowed`, `address-not-here`, `port-unusable`
   */
  static async listen(host: string, port: number): Promise<TcpServer> {
    // Either direction may end first.
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    server.maxConnections = MOST_SOCKETS;
    server.listen({ host, port });
    try {
      await once(server, 'listening');
    } catch (error) {
      throw listenError('TCP', host, port, error);
    }
    return new TcpServer(server);
  }

  /** Carries connections, also those that have come already. */
  serve(carrier: Carrier): void {
    this.#carrier = carrier;
    for (const connection of this.#connections) this.#carry(connection, carrier);
  }

  /** Resets what is connected. Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.end();
    await this.closed;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket);
    this.#connections.add(connection);
    connection.gone.addEventListener('abort', () => this.#connections.delete(connection), { once: true });
    // It closes, and that says enough.
    socket.on('error', () => {});
    if (this.#carrier) this.#carry(connection, this.#carrier);
  }

  #carry(connection: Connection, { limit, connect }: Carrier): void {
    limit.carry(connection, () => connection.carry(connect).finally(() => this.#connections.delete(connection)));
  }
}
