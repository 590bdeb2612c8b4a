/** One client of a published UDP port: a program of the init carries its datagrams on to the service inside. */
import type { Socket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError } from '../../util/errors.js';
import { type Builtin, BuiltinError } from '../process/builtin.js';
import type { Client } from './client-limit.js';
import type { Connect } from './connection.js';
import { DatagramReader, datagramRecord } from './datagrams.js';

/** Most that waits for the guest. More is dropped, as a full queue of a network does. */
const MOST_WAITING = 256;
const MOST_WAITING_BYTES = 262_144;

/** Most that waits for this host's kernel, of all clients of a port. */
const MOST_SENDING_BYTES = 1_048_576;

/** Answers that are sent before others have their turn. */
const ANSWERS_AT_ONCE = 64;

/** A UDP client says no end. It is over when nothing was carried for a minute: so many looks. */
const IDLE_LOOKS = 12;

/** An IP address and a port. */
export interface UdpAddress {
  readonly address: string;
  readonly port: number;
}

export class UdpFlow implements Client {
  readonly protocol = 'udp';
  readonly isHeldUp = false;
  readonly hasLeft = false;
  readonly #socket: Socket;
  readonly #client: UdpAddress;
  readonly #gone = new AbortController();
  #builtin: Builtin | undefined;
  /** Came before the program has started. */
  #early: Buffer[] = [];
  #waiting = 0;
  #waitingBytes = 0;
  #moved = 0;
  #seen = 0;
  #quiet = 0;
  #hasFailed = false;

  constructor(socket: Socket, client: UdpAddress) {
    this.#socket = socket;
    this.#client = client;
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Its program has ended, or was not started, though nobody wanted that. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Datagrams. */
  get moved(): number {
    return this.#moved;
  }

  look(): void {
    this.#quiet = this.#seen === this.#moved ? this.#quiet + 1 : 0;
    this.#seen = this.#moved;
    if (this.#quiet >= IDLE_LOOKS) this.end();
  }

  end(): void {
    this.#early = [];
    this.#gone.abort();
  }

  /** Sends it inside, or drops it. */
  send(datagram: Uint8Array): void {
    if (this.gone.aborted) return;
    this.#moved += 1;
    const record = datagramRecord(datagram);
    if (this.#waiting === MOST_WAITING || this.#waitingBytes + record.length > MOST_WAITING_BYTES) return;
    this.#waiting += 1;
    this.#waitingBytes += record.length;
    if (this.#builtin) this.#write(this.#builtin, record);
    else this.#early.push(record);
  }

  /** Carries datagrams until the program inside has ended, and so long as the client is not gone. */
  async carry(connect: Connect): Promise<void> {
    try {
      // As for a connection, it is started to its end.
      const builtin = await connect({});
      const kill = () => void builtin.kill();
      this.gone.addEventListener('abort', kill, { once: true });
      if (this.gone.aborted) kill();
      this.#builtin = builtin;
      // It may have waited for its turn.
      this.#quiet = 0;
      for (const record of this.#early.splice(0)) this.#write(builtin, record);
      await this.#answer(builtin);
    } catch (error) {
      if (!this.gone.aborted && !isOfGuest(error)) throw error;
    } finally {
      this.#hasFailed = !this.gone.aborted;
      this.end();
      await this.#builtin?.ended.catch(() => {});
    }
  }

  #write({ stdin }: Builtin, record: Buffer): void {
    stdin.write(record, () => {
      this.#waiting -= 1;
      this.#waitingBytes -= record.length;
    });
  }

  async #answer(builtin: Builtin): Promise<void> {
    const reader = new DatagramReader();
    let count = 0;
    for await (const piece of builtin.stdout as AsyncIterable<Buffer>) {
      for (const datagram of reader.read(piece)) {
        if (this.gone.aborted) return;
        this.#moved += 1;
        count += 1;
        if (this.#socket.getSendQueueSize() > MOST_SENDING_BYTES) continue;
        // One that cannot be sent is lost.
        this.#socket.send(datagram, this.#client.port, this.#client.address, () => {});
        if (count % ANSWERS_AT_ONCE === 0) await setImmediate();
      }
    }
    await builtin.ended;
  }
}

function isOfGuest(error: unknown): boolean {
  return error instanceof SandboxError || error instanceof BuiltinError || error instanceof ProtocolError;
}
