/** A TCP port of this host whose connections are carried into a sandbox, once there is one. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Connect, carryConnection, resetNow } from './connection.js';
import type { ConnectionLimit } from './connection-limit.js';
import { listenError } from './listen-error.js';

/** Most connections that are open or wait. A client beyond that is turned away at once. */
const MOST_SOCKETS = 512;

/** What carries connections. */
export interface Carrier {
  readonly connect: Connect;
  readonly limit: ConnectionLimit;
}

export class PortServer {
  /** Its IP address and its port. */
  readonly host: string;
  readonly port: number;
  /** Settles when nothing of it is left. */
  readonly closed: Promise<void>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #carrier: Carrier | undefined;

  private constructor(server: Server) {
    const { address, port } = server.address() as AddressInfo;
    this.host = address;
    this.port = port;
    this.#server = server;
    this.closed = once(server, 'close').then(() => {});
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
  static async listen(host: string, port: number): Promise<PortServer> {
    // Either direction may end first.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.maxConnections = MOST_SOCKETS;
    server.listen({ host, port });
    try {
      await once(server, 'listening');
    } catch (error) {
      throw listenError('TCP', host, port, error);
    }
    return new PortServer(server);
  }

  /** Carries connections, also those that have come already. */
  serve(carrier: Carrier): void {
    this.#carrier = carrier;
    for (const socket of this.#sockets) this.#carry(socket, carrier);
  }

  /** Resets what is connected. Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) resetNow(socket);
    await this.closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // It closes, and that says enough.
    socket.on('error', () => {});
    if (this.#carrier) this.#carry(socket, this.#carrier);
  }

  #carry(socket: Socket, { limit, connect }: Carrier): void {
    limit.carry(socket, () => carryConnection(socket, connect));
  }
}
