/**
 * Hears what a guest plays, as a viewer of QEMU's VNC that asks for no picture. QEMU may have been taken over: what it
 * sends is bounded, and what is not expected ends it.
 *
 * https://www.rfc-editor.org/rfc/rfc6143, and "QEMU Audio" of
 * https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst
 */
import type { Duplex } from 'node:stream';
import { RfbConnection, RfbError } from '../../rfb/connection.js';
import { settlesWithin } from '../../util/promises.js';
import { CHANNELS, FRAME_BYTES, RATE } from './format.js';

const FRAMEBUFFER_UPDATE = 0;
const BELL = 2;
const CUT_TEXT = 3;
const QEMU = 255;
const AUDIO = 1;
/** The pseudo-encoding by which both say that they know of sound. */
const AUDIO_ENCODING = -259;

/** What is done with sound, in messages of the server. */
const END = 0;
const BEGIN = 1;
const DATA = 2;

const SIGNED_16_BITS = 3;

/** So much is read at once, and handed on. Whole frames. */
const PART_BYTES = 4096 * FRAME_BYTES;

const MOST_TEXT_BYTES = 1 << 24;

export interface Listener {
  /** @param samples as format.ts says. Nothing more is read until it resolves */
  play(samples: Buffer): Promise<void>;
  /** The guest plays nothing any more. */
  pause(): void;
}

/** QEMU lets a client in within this time. In milliseconds. */
const PATIENCE_MS = 10_000;

export class RfbAudio {
  readonly #connection: RfbConnection;

  private constructor(connection: RfbConnection) {
    this.#connection = connection;
  }

  /**
   * Asks QEMU for its sound.
   * @throws {RfbError}
   */
  static async open(stream: Duplex): Promise<RfbAudio> {
    // Nothing comes while nothing is played.
    const opening = RfbConnection.open(stream, { timeoutMs: Infinity });
    if (!(await settlesWithin(opening, PATIENCE_MS))) stream.destroy();
    const connection = await opening;
    await connection.write(Buffer.concat([encodings(), format(), Buffer.of(QEMU, AUDIO, 0, 0)]));
    return new RfbAudio(connection);
  }

  /**
   * Until QEMU has ended, or the connection is closed.
   * @throws {RfbError} what QEMU said that it should not have
   */
  async hear(listener: Listener): Promise<void> {
    try {
      await this.#hear(listener);
    } catch (error) {
      this.close();
      if (!(error instanceof RfbError) || error.fault !== 'closed') throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #hear(listener: Listener): Promise<never> {
    const connection = this.#connection;
    for (;;) {
      const [type] = await connection.read(1);
      if (type === QEMU) await heardMessage(connection, listener);
      else if (type === FRAMEBUFFER_UPDATE) await acknowledgement(connection);
      else if (type === CUT_TEXT) await skipText(connection);
      else expect(type === BELL, `a message of type ${type}`);
    }
  }
}

async function heardMessage(connection: RfbConnection, listener: Listener): Promise<void> {
  const head = await connection.read(3);
  expect(head.readUInt8(0) === AUDIO, 'a message that is not of sound');
  const what = head.readUInt16BE(1);
  if (what === END) listener.pause();
  else if (what === DATA) {
    for (let left = (await connection.read(4)).readUInt32BE(); left > 0; ) {
      const part = await connection.read(Math.min(left, PART_BYTES));
      left -= part.length;
      await listener.play(part);
    }
  } else expect(what === BEGIN, `a message of sound of type ${what}`);
}

/** That it knows of sound. No picture was asked for. */
async function acknowledgement(connection: RfbConnection): Promise<void> {
  const message = await connection.read(15);
  expect(message.readUInt16BE(1) === 1 && message.readInt32BE(11) === AUDIO_ENCODING, 'a picture');
}

function encodings(): Buffer {
  const message = Buffer.of(2, 0, 0, 1, 0, 0, 0, 0);
  message.writeInt32BE(AUDIO_ENCODING, 4);
  return message;
}

function format(): Buffer {
  const message = Buffer.of(QEMU, AUDIO, 0, 2, SIGNED_16_BITS, CHANNELS, 0, 0, 0, 0);
  message.writeUInt32BE(RATE, 6);
  return message;
}

/** What somebody else has copied is not kept. */
async function skipText(connection: RfbConnection): Promise<void> {
  const length = Math.abs((await connection.read(7)).readInt32BE(3));
  expect(length <= MOST_TEXT_BYTES, 'a text that is too long');
  await connection.skip(length);
}

function expect(isRight: boolean, what: string): void {
  if (!isRight) throw new RfbError('protocol', `QEMU sent ${what}`);
}
