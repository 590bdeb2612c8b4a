/** A channel whose guest is the test: it sees the launcher's packets, and says what it likes. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { Channel } from '../../src/protocol/channel.js';
import { type PacketHeader, PacketParser } from '../../src/protocol/packets.js';

export class FakeGuest {
  /** The launcher's end; the handshake is over. */
  readonly channel: Channel;
  readonly #transport: Duplex;
  readonly #waiting: (() => void)[] = [];

  /** @param take gets each packet of the launcher */
  constructor(take: (header: PacketHeader, payload: Buffer) => void) {
    const parser = new PacketParser({
      stream: () => assert.fail('a host sends no output'),
      streamEnd: () => assert.fail('a host sends no output'),
      packet: (header, payload) => take(header, payload),
    });
    this.#transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        parser.push(chunk);
        for (const wake of this.#waiting.splice(0)) wake();
        done();
      },
    });
    this.channel = Channel.resume(this.#transport);
  }

  say(...packets: readonly Buffer[]): void {
    if (!this.#transport.destroyed) this.#transport.push(Buffer.concat(packets));
  }

  /** The connection between launcher and guest ends. */
  end(): void {
    this.#transport.destroy();
  }

  /** Waits until the launcher has sent what makes it true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
