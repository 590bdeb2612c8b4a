/** The virtio-serial port of a common init in the guest: the way to the launcher, which may read slowly or be gone. */
import { setTimeout as delay } from 'node:timers/promises';
import { encodePacket } from '../../src/protocol/packets.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT } from '../../src/protocol/wire.js';

/** How often to look for a host on the port, in milliseconds. */
const LOOK_MS = 50;
/** How many packets may wait for the port before nothing more is read from the source. */
export const MANY_PACKETS = 64;

/** The port itself. Reads and writes block, each on a thread of its own. */
export interface PortIo {
  read(buffer: Buffer): Promise<{ readonly bytesRead: number }>;
  /** Writes what is behind `at`, or a part of it. */
  write(bytes: Uint8Array, at: number): Promise<{ readonly bytesWritten: number }>;
}

/** What is written to the port comes from here. It is paused while too much waits. */
export interface PortSource {
  pause(): unknown;
  resume(): unknown;
}

/** The virtio-serial port of a common init in the guest. */
export class Port {
  readonly #io: PortIo;
  readonly #source: PortSource;
  #last: Promise<void> = Promise.resolve();
  #isGone = false;
  #giveUp: () => void = () => {};
  /** Frees writes that would wait for a host forever. */
  readonly #gone = new Promise<undefined>((resolve) => {
    this.#giveUp = () => resolve(undefined);
  });
  /** Packets that are not yet written. */
  pending = 0;

  constructor(io: PortIo, source: PortSource) {
    this.#io = io;
    this.#source = source;
  }

  /** Empty if the launcher is gone. */
  async read(): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(65_536);
    const { bytesRead } = await this.#io.read(buffer);
    return buffer.subarray(0, bytesRead);
  }

  /** Drops what is still to be written: the launcher is gone. */
  abandon(): void {
    this.#isGone = true;
    this.#giveUp();
  }

  /** Resolves when all bytes are written or dropped. */
  write(bytes: Uint8Array): Promise<void> {
    this.pending += 1;
    if (this.pending >= MANY_PACKETS) this.#source.pause();
    this.#last = this.#last.then(async () => {
      for (let done = 0; done < bytes.length && !this.#isGone; ) {
        try {
          done += (await Promise.race([this.#io.write(bytes, done), this.#gone]))?.bytesWritten ?? 0;
        } catch {
          this.abandon();
        }
      }
      this.pending -= 1;
      if (this.pending < MANY_PACKETS) this.#source.resume();
    });
    return this.#last;
  }

  packet(proc: number, type: number, payload: Uint8Array, status = 0, serial = 0): Promise<void> {
    return this.write(encodePacket(proc, type, status, serial, payload));
  }

  /** The guest's side of the handshake. Returns the bytes that came behind it. */
  async greet(): Promise<Buffer> {
    for (let answered = false; ; ) {
      const bytes = await this.read();
      if (bytes.length === 0) {
        // The host is gone; the next one starts the handshake anew.
        answered = false;
        await delay(LOOK_MS);
      }
      for (const [at, byte] of bytes.entries()) {
        if (byte === HANDSHAKE_WAIT && !answered) {
          answered = true;
          await this.write(Uint8Array.of(HANDSHAKE_SYNC));
        } else if (byte === HANDSHAKE_SYNC && answered) {
          return bytes.subarray(at + 1);
        }
      }
    }
  }
}
