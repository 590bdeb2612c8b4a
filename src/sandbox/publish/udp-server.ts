/** A UDP port of this host whose datagrams are carried into a sandbox, once there is one. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { MOST_DATAGRAM_BYTES } from './datagrams.js';
import { listenError } from './listen-error.js';
import type { Carrier, PortServer } from './port-server.js';
import { type UdpAddress, UdpFlow } from './udp-flow.js';

/** Clients of a port. Each has a process in the sandbox. */
const MOST_FLOWS = 64;

/** A client has so long for itself until another may take its place. */
const OWN_MS = 1000;

/** So long is no program started again for a client whose program has failed. */
const PAUSE_MS = 1000;

interface Used {
  readonly flow: UdpFlow;
  readonly at: number;
}

export class UdpServer implements PortServer {
  readonly protocol = 'udp';
  readonly host: string;
  readonly port: number;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  /** By their addresses. Those that were used last are the last ones. */
  readonly #flows = new Map<string, Used>();
  #carrier: Carrier | undefined;
  #isClosed = false;

  private constructor(socket: Socket) {
    const { address, port } = socket.address();
    this.host = address;
    this.port = port;
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('message', (datagram, client) => this.#receive(datagram, client));
    // A datagram that cannot be received is lost alone.
    socket.on('error', () => {});
    socket.unref();
  }

  /**
   * Listens. Datagrams are lost until {@link serve}.
   * @param host an IP address
   * @param port 0: a free one
   * @throws {SandboxError} `port-taken`, `port-not-allowed`, `address-not-here`, `port-unusable`
   */
  static async listen(host: string, port: number): Promise<UdpServer> {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    try {
      socket.bind(port, host);
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw listenError('UDP', host, port, error);
    }
    return new UdpServer(socket);
  }

  serve(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  /** Resolves when nothing of it is left. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const { flow } of this.#flows.values()) flow.end();
      this.#socket.close();
    }
    await this.closed;
  }

  #receive(datagram: Buffer, client: UdpAddress): void {
    // Nothing can be sent to port 0. Over IPv6 some are longer than any of IPv4.
    if (!this.#carrier || client.port === 0 || datagram.length > MOST_DATAGRAM_BYTES) return;
    const key = `${client.address} ${client.port}`;
    const flow = this.#flows.get(key)?.flow ?? this.#open(key, client, this.#carrier);
    if (!flow || flow.hasFailed) return;
    this.#flows.delete(key);
    this.#flows.set(key, { flow, at: performance.now() });
    flow.send(datagram);
  }

  /** Undefined: there are too many. */
  #open(key: string, client: UdpAddress, { limit, connect }: Carrier): UdpFlow | undefined {
    if (this.#flows.size === MOST_FLOWS && !this.#makeRoom()) return undefined;
    const flow = new UdpFlow(this.#socket, client);
    const forget = () => this.#forget(key, flow);
    const leave = () => (flow.hasFailed ? setTimeout(forget, PAUSE_MS).unref() : forget());
    flow.gone.addEventListener('abort', leave, { once: true });
    limit.carry(flow, () => flow.carry(connect));
    return flow;
  }

  /** Ends the client that was heard of least lately. */
  #makeRoom(): boolean {
    const [oldest] = this.#flows;
    if (!oldest) return false;
    const [key, { flow, at }] = oldest;
    if (performance.now() - at < OWN_MS) return false;
    flow.end();
    // One that has failed is still there.
    this.#forget(key, flow);
    return true;
  }

  #forget(key: string, flow: UdpFlow): void {
    if (this.#flows.get(key)?.flow === flow) this.#flows.delete(key);
  }
}
