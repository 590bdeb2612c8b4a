/**
 * One stream to a sound server, of a connection of its own. This is all that it asks of the server: who it is, one stream
 * to play, and to be told when it has been played.
 */
import type { Socket } from 'node:net';
import { bytesOf, FRAME_BYTES } from './format.js';
import {
  authentication,
  COMMANDS,
  Command,
  clientName,
  drain,
  HEAD_BYTES,
  numbersOf,
  packet,
  playbackStream,
} from './pulse-messages.js';

/** What the server has of it: enough for a guest that is emulated on a busy host. In milliseconds. */
const TARGET_MS = 200;
const FIRST_MS = 150;
const MOST_MS = 1000;

/** What waits here for the server to ask for it. */
const MOST_WAITING = bytesOf(500);

/** The longest message that a server sends has the name of a sink. */
const MOST_PACKET = 65_536;

/** In milliseconds. */
const ANSWER_MS = 10_000;

/** Until what the server has, and what waits, is played. In milliseconds. */
const END_MS = 2000;

interface Pending {
  readonly resolve: (numbers: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

export class PulseStream {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  /** Resolves when there is no stream any more: the server has ended it, or its user has, or {@link end}. */
  readonly ended: Promise<Error | undefined>;
  #end: (error?: Error) => void = () => {};
  #tag = 0;
  #unread: Buffer = Buffer.alloc(0);
  #channel = COMMANDS;
  /** Bytes that the server has asked for. */
  #asked = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => {
      this.#end = (error) => {
        resolve(error);
        socket.destroy();
        for (const { reject } of this.#pending.values()) reject(error ?? new Error('the stream has ended'));
        this.#pending.clear();
      };
    });
    // Whichever comes first: a write that fails is the same news.
    for (const event of ['error', 'close'])
      socket.on(event, (cause: unknown) => this.#end(new Error('the sound server has ended', { cause })));
    socket.on('data', (data: Buffer) => this.#receive(data));
  }

  /**
   * @param socket the server's, which it ends
   * @param name of the sandbox, for who looks at the server's streams
   * @throws {Error} what the server refused
   */
  static async open(socket: Socket, name: string): Promise<PulseStream> {
    const stream = new PulseStream(socket);
    try {
      await stream.#ask(authentication);
      await stream.#ask((tag) => clientName(tag, 'virt-sandbox'));
      const wish = { name, most: bytesOf(MOST_MS), target: bytesOf(TARGET_MS), first: bytesOf(FIRST_MS) };
      const [channel = COMMANDS, , asked = 0] = await stream.#ask((tag) => playbackStream(tag, wish));
      stream.#channel = channel;
      stream.#asked += asked;
      return stream;
    } catch (error) {
      stream.#end();
      throw error;
    }
  }

  /**
   * @param samples less than {@link MOST_WAITING}
   * @returns false: what waited was dropped, since the server has not asked for it
   */
  play(samples: Buffer): boolean {
    const isTooMuch = !this.#hasRoom(samples);
    // One gap is less to hear than many small ones, and what comes behind it is in time again.
    if (isTooMuch) [this.#waiting, this.#waitingBytes] = [[], 0];
    this.#add(samples);
    return !isTooMuch;
  }

  /** A sound that is too short for the server to begin with gets silence behind it. */
  pause(): void {
    const silence = Buffer.alloc(bytesOf(FIRST_MS));
    if (this.#hasRoom(silence)) this.#add(silence);
  }

  /** Plays what it has, if the server does so soon, and ends. */
  async end(): Promise<void> {
    // The server keeps so much more than it asks for.
    this.#asked += this.#waitingBytes;
    this.#write();
    await this.#ask((tag) => drain(tag, this.#channel), END_MS).catch(() => {});
    this.#end();
  }

  #hasRoom({ length }: Buffer): boolean {
    return this.#waitingBytes + length <= MOST_WAITING;
  }

  #add(samples: Buffer): void {
    this.#waiting.push(samples);
    this.#waitingBytes += samples.length;
    this.#write();
  }

  #ask(message: (tag: number) => Buffer, patience = ANSWER_MS): Promise<readonly number[]> {
    const tag = this.#tag;
    this.#tag += 1;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new Error('the sound server has ended'));
        return;
      }
      const late = setTimeout(() => this.#end(new Error('the sound server does not answer')), patience);
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(late);
          settle(value);
        };
      };
      this.#pending.set(tag, { resolve: settled(resolve), reject: settled(reject) });
      this.#socket.write(message(tag));
    });
  }

  #write(): void {
    // Whole frames: the rest of one may be dropped.
    while (this.#asked >= FRAME_BYTES) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const part = next.subarray(0, this.#asked - (this.#asked % FRAME_BYTES));
      if (part.length < next.length) this.#waiting.unshift(next.subarray(part.length));
      this.#waitingBytes -= part.length;
      this.#asked -= part.length;
      this.#socket.write(packet(this.#channel, part));
    }
  }

  #receive(data: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, data]);
    while (this.#unread.length >= HEAD_BYTES) {
      const length = this.#unread.readUInt32BE(0);
      const channel = this.#unread.readUInt32BE(4);
      if (length > MOST_PACKET) {
        this.#end(new Error(`the sound server sent a message of ${length} bytes`));
        return;
      }
      if (this.#unread.length < HEAD_BYTES + length) return;
      const body = this.#unread.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.#unread = this.#unread.subarray(HEAD_BYTES + length);
      if (channel === COMMANDS) this.#take(numbersOf(body));
    }
  }

  #take([command, tag = 0, ...numbers]: readonly number[]): void {
    if (command === Command.reply || command === Command.error) {
      const pending = this.#pending.get(tag);
      this.#pending.delete(tag);
      if (command === Command.reply) pending?.resolve(numbers);
      else pending?.reject(new Error(`the sound server refused it (error ${numbers[0]})`));
    } else if (command === Command.request) {
      // There is one stream, which the server may ask for more before its channel is known here.
      this.#asked = Math.min(this.#asked + (numbers[1] ?? 0), bytesOf(MOST_MS));
      this.#write();
    } else if (command === Command.playbackStreamKilled) {
      this.#end(new Error('the sound server has ended the stream'));
    }
  }
}
