/** A guest that answers by itself, and hosts that talk to its holder. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ControlServer, listen } from '../../../src/control/server.js';
import type { ServedHostOptions } from '../../../src/control/serving.js';
import { Channel } from '../../../src/protocol/channel.js';
import { FieldWriter } from '../../../src/protocol/fields.js';
import { encodePacket, type PacketHeader, PacketParser } from '../../../src/protocol/packets.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, MessageType, Proc, Status } from '../../../src/protocol/wire.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { numbers, spawned } from '../protocol/guest.js';

export interface Packet {
  readonly header: PacketHeader;
  readonly payload: Buffer;
}

/** Numbers the processes that it is told to start, and records everything. */
export class StandInGuest {
  readonly sent: Packet[] = [];
  readonly channel: Channel;
  /** Set: no call is answered. */
  isSilent = false;
  readonly #transport: Duplex;
  #last = 0;

  constructor() {
    const parser = new PacketParser({
      stream: () => {},
      streamEnd: () => {},
      packet: (header, payload) => this.#take(header, payload),
    });
    this.#transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        parser.push(chunk);
        done();
      },
    });
    this.channel = Channel.resume(this.#transport);
  }

  say(...packets: readonly Buffer[]): void {
    this.#transport.push(Buffer.concat(packets));
  }

  /** Payloads of packets of a kind; of all processes without a number. */
  of(proc: number, type: number, process?: number): Buffer[] {
    return this.sent
      .filter(({ header }) => header.proc === proc && header.type === type)
      .filter(({ header }) => process === undefined || header.serial === process)
      .map(({ payload }) => payload);
  }

  /** The signals that a process was to get. */
  signals(process: number): number[] {
    return this.of(Proc.SIGNAL, MessageType.CALL)
      .filter((payload) => payload.readUInt32BE(0) === process)
      .map((payload) => payload.readUInt32BE(4));
  }

  acknowledged(proc: number, process: number): number {
    return this.of(proc, MessageType.REPLY, process).reduce((sum, payload) => sum + payload.readUInt32BE(0), 0);
  }

  #take(header: PacketHeader, payload: Buffer): void {
    this.sent.push({ header, payload });
    if (header.type !== MessageType.CALL || this.isSilent) return;
    if (header.proc === Proc.SPAWN) {
      this.#last += 1;
      this.say(spawned(header.serial, this.#last));
    } else {
      const bytes = header.proc === Proc.READ_FILE ? numbers(0, 0) : numbers(0);
      this.say(encodePacket(header.proc, MessageType.REPLY, Status.OK, header.serial, bytes));
    }
  }
}

export interface Holder {
  readonly guest: StandInGuest;
  readonly path: string;
  readonly server: ControlServer;
}

/** A server on a socket, which ends with the test. */
export async function holder(t: TestContext, answer: ServedHostOptions['answer'] = async () => ({})): Promise<Holder> {
  const guest = new StandInGuest();
  const path = join(scratchDirectory(t), 'control');
  const server = await listen(path, { channel: guest.channel, kernelRelease: '6.1', answer });
  t.after(() => server.close());
  return { guest, path, server };
}

/** A host that speaks the protocol packet by packet. */
export class RawHost {
  readonly received: Packet[] = [];
  readonly socket: Socket;
  isClosed = false;
  #serial = 0;
  readonly #waiting: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** Connects, and greets unless told otherwise. */
  static async connect(t: TestContext, { path }: Pick<Holder, 'path'>, { greets = true } = {}): Promise<RawHost> {
    const socket = connect(path);
    const host = new RawHost(socket);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    if (greets) await host.#greet();
    return host;
  }

  async #greet(): Promise<void> {
    this.socket.write(Uint8Array.of(HANDSHAKE_WAIT));
    await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    const parser = new PacketParser({
      stream: (proc, serial, payload) => this.#take({ proc, type: MessageType.DATA, status: 0, serial }, payload),
      streamEnd: (proc, serial) => this.#take({ proc, type: MessageType.DATA, status: 0, serial }, Buffer.alloc(0)),
      packet: (header, payload) => this.#take(header, payload),
    });
    this.socket.on('data', (bytes: Buffer) => parser.push(bytes));
    this.socket.write(Uint8Array.of(HANDSHAKE_SYNC));
    await this.until(() => this.received.length > 0);
  }

  #take(header: PacketHeader, payload: Buffer): void {
    this.received.push({ header, payload });
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  send(proc: number, type: number, serial: number, payload: Uint8Array = new Uint8Array()): void {
    this.socket.write(encodePacket(proc, type, 0, serial, payload));
  }

  /** Makes a call, and waits for its reply. */
  async call(proc: number, payload: Uint8Array): Promise<{ status: number; payload: Buffer }> {
    this.#serial += 1;
    const serial = this.#serial;
    this.send(proc, MessageType.CALL, serial, payload);
    const isReply = ({ header }: Packet) => header.type === MessageType.REPLY && header.serial === serial;
    await this.until(() => this.received.some((packet) => isReply(packet) && packet.header.proc === proc));
    const found = this.received.find((packet) => isReply(packet) && packet.header.proc === proc);
    return { status: found?.header.status ?? -1, payload: found?.payload ?? Buffer.alloc(0) };
  }

  /** @returns the number of the process */
  async spawn(flags = 0): Promise<number> {
    const { payload } = await this.call(Proc.SPAWN, spawnPayload(flags));
    return payload.readUInt32BE(4);
  }

  of(proc: number, type: number, process: number): Buffer[] {
    return this.received
      .filter(({ header }) => header.proc === proc && header.type === type && header.serial === process)
      .map(({ payload }) => payload);
  }

  /** Waits for what depends on what is received. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.isClosed) throw new Error('the connection is closed');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async closed(): Promise<void> {
    this.socket.resume();
    while (!this.isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** One argument, no variable, as root, and no terminal. */
export function spawnPayload(flags = 0): Buffer {
  const argv = Buffer.concat([numbers(1, 4), Buffer.from('true')]);
  return Buffer.concat([argv, numbers(0, 0, 0, 0, 0, 0, 0, flags, 0, 0, 0)]);
}

/** A server, and two hosts of it. */
export async function withTwo(t: TestContext): Promise<Holder & { one: RawHost; other: RawHost }> {
  const held = await holder(t);
  return { ...held, one: await RawHost.connect(t, held), other: await RawHost.connect(t, held) };
}

/** The payload of a CONTROL call. */
export const request = (value: unknown) => new FieldWriter().str(JSON.stringify(value)).finish();

/** That of a failed reply. */
export const errnoOf = ({ payload }: { payload: Buffer }) => payload.readUInt32BE(4);

/** Waits for what another turn of the loop brings. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn();
}
