/** A port of a sandbox on this host, for programs. */
import { isIPv6 } from 'node:net';
import type { PortServer } from './port-server.js';

/**
 * A URL: `http://127.0.0.1:PORT/`, or `udp://127.0.0.1:PORT`. A service that is not HTTP is at its {@link address} and
 * {@link hostPort} all the same.
 * It ends with its sandbox, and does not keep this process alive.
 */
export class PublishedPort extends URL implements AsyncDisposable {
  /** Port inside. */
  readonly guestPort: number;
  /** IP address and port on this host. */
  readonly address: string;
  readonly hostPort: number;
  /** Resolves when the port is free again. */
  readonly closed: Promise<void>;
  readonly #server: PortServer;

  /** @internal */
  constructor(server: PortServer, guestPort: number) {
    const at = `${isIPv6(server.host) ? `[${server.host}]` : server.host}:${server.port}`;
    super(server.protocol === 'udp' ? `udp://${at}` : `http://${at}/`);
    this.guestPort = guestPort;
    this.address = server.host;
    this.hostPort = server.port;
    this.closed = server.closed;
    this.#server = server;
  }

  /** Ends it, and resets its connections. Resolves when the port is free. */
  async close(): Promise<void> {
    await this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
