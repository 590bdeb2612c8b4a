/** Real clients of a published UDP port. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { DatagramReader } from '../../../../src/sandbox/publish/datagrams.js';
import type { PublishedPort } from '../../../../src/sandbox/publish/published-port.js';
import { PlayedGuest, type Program } from './guest.js';

export async function published(
  t: TestContext,
  host = '127.0.0.1',
): Promise<{ guest: PlayedGuest; port: PublishedPort }> {
  const guest = new PlayedGuest();
  const port = await guest.publisher.publish(53, { protocol: 'udp', host });
  t.after(() => port.close());
  return { guest, port };
}

export class UdpClient {
  readonly heard: Buffer[] = [];
  readonly #socket: Socket;
  readonly #to: PublishedPort;

  constructor(t: TestContext, to: PublishedPort) {
    this.#to = to;
    this.#socket = createSocket(to.address.includes(':') ? 'udp6' : 'udp4');
    this.#socket.on('message', (bytes) => this.heard.push(bytes));
    t.after(() => this.#socket.close());
  }

  async send(data: string | Uint8Array): Promise<void> {
    await new Promise((resolve) => this.#socket.send(data, this.#to.hostPort, this.#to.address, resolve));
  }

  /** The next one that it hears. */
  async next(): Promise<string> {
    const [bytes] = (await once(this.#socket, 'message')) as [Buffer];
    return bytes.toString();
  }
}

/** The datagrams that a program was sent. */
export function received(program: Program): string[] {
  return [...new DatagramReader().read(program.received)].map(String);
}

export async function hears(guest: PlayedGuest, program: Program, wanted: string): Promise<void> {
  await guest.until(() => received(program).includes(wanted));
}
