/** A viewer of VNC: https://www.rfc-editor.org/rfc/rfc6143 */
import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

const RAW = 0;

/** Kinds of security. */
const NONE = 1;
const VNC = 2;

export class Viewer {
  readonly width: number;
  readonly height: number;
  readonly #input: Input;

  private constructor(input: Input, width: number, height: number) {
    this.#input = input;
    this.width = width;
    this.height = height;
  }

  /** @throws a system error if it is not let in */
  static async open(path: string, { isShared = true } = {}): Promise<Viewer> {
    return Viewer.#begin(await unasked(path), isShared);
  }

  /** Where a password is asked for, and nothing else will do. */
  static async openWith(password: string, where: NetConnectOpts): Promise<Viewer> {
    const { input, kinds } = await greet(where);
    assert.deepEqual(kinds, [VNC]);
    input.socket.write(Buffer.of(VNC));
    input.socket.write(encrypted(await input.read(16), password));
    return Viewer.#begin(input);
  }

  /** @throws {Refusal} */
  static async #begin(input: Input, isShared = true): Promise<Viewer> {
    const { width, height } = await begin(input, isShared);
    const { socket } = input;
    // 32 bits, little-endian, blue green red.
    socket.write(Buffer.from('0000000020180001' + '00ff00ff00ff100800000000', 'hex'));
    socket.write(Buffer.of(2, 0, 0, 1, 0, 0, 0, RAW));
    return new Viewer(input, width, height);
  }

  /** The colour at a point of the whole picture, as `#rrggbb`. */
  async colourAt(x: number, y: number): Promise<string> {
    const ask = Buffer.alloc(10);
    ask.writeUInt8(3);
    ask.writeUInt16BE(this.width, 6);
    ask.writeUInt16BE(this.height, 8);
    this.#input.socket.write(ask);
    const picture = Buffer.alloc(this.width * this.height * 4);
    const rectangles = (await this.#message(0)).readUInt16BE(1);
    for (let number = 0; number < rectangles; number += 1) await this.#rectangle(picture);
    const at = (y * this.width + x) * 4;
    return `#${[2, 1, 0].map((byte) => picture.toString('hex', at + byte, at + byte + 1)).join('')}`;
  }

  close(): void {
    this.#input.socket.destroy();
  }

  /** What follows the type of a message of that type. Others have no more than a text. */
  async #message(wanted: number): Promise<Buffer> {
    for (;;) {
      const [type] = await this.#input.read(1);
      if (type === wanted) return this.#input.read(3);
      assert.equal(type, 3, 'what is no update is a text for the clipboard');
      await this.#input.read((await this.#input.read(7)).readUInt32BE(3));
    }
  }

  async #rectangle(picture: Buffer): Promise<void> {
    const head = await this.#input.read(12);
    const [left, top, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [
      number,
      number,
      number,
      number,
    ];
    assert.equal(head.readInt32BE(8), RAW);
    for (let row = 0; row < height; row += 1)
      (await this.#input.read(width * 4)).copy(picture, ((top + row) * this.width + left) * 4);
  }
}

/** The server's words. */
export class Refusal extends Error {}

/** @returns which kinds of security the server offers */
export async function greet(where: NetConnectOpts): Promise<{ input: Input; kinds: number[] }> {
  const socket = connect(where);
  await once(socket, 'connect');
  const input = new Input(socket);
  assert.equal((await input.read(12)).toString('latin1'), 'RFB 003.008\n');
  socket.write('RFB 003.008\n');
  const [count = 0] = await input.read(1);
  return { input, kinds: [...(await input.read(count))] };
}

/** A connection at which no password is asked for. */
export async function unasked(path: string): Promise<Input> {
  const { input, kinds } = await greet({ path });
  assert.ok(kinds.includes(NONE), 'it asks for no password');
  input.socket.write(Buffer.of(NONE));
  return input;
}

/**
 * Reads what the server says of its screen.
 * @param isShared other viewers stay
 * @throws {Refusal}
 */
export async function begin(input: Input, isShared = true): Promise<{ width: number; height: number }> {
  if ((await input.read(4)).readUInt32BE() !== 0) {
    const reason = (await input.read((await input.read(4)).readUInt32BE())).toString();
    // The end is the server's.
    await assert.rejects(input.read(1));
    throw new Refusal(reason);
  }
  input.socket.write(Buffer.of(isShared ? 1 : 0));
  const said = await input.read(24);
  await input.read(said.readUInt32BE(20));
  return { width: said.readUInt16BE(0), height: said.readUInt16BE(2) };
}

/** By DES, whose key is the password with the bits of each character in the other order. Three times the same is once. */
function encrypted(challenge: Buffer, password: string): Buffer {
  const reversed = (byte: number) => Number.parseInt([...byte.toString(2).padStart(8, '0')].reverse().join(''), 2);
  const key = Buffer.alloc(8);
  for (const [at, byte] of [...Buffer.from(password).subarray(0, 8)].entries()) key[at] = reversed(byte);
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** After each of them there is something to read, or nothing will be. */
const EVENTS = ['readable', 'end', 'close'] as const;

export class Input {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    // A read says it.
    socket.on('error', () => {});
    socket.pause();
  }

  async read(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      const { socket } = this;
      const more = socket.read() as Buffer | null;
      if (more !== null) this.#bytes = Buffer.concat([this.#bytes, more]);
      else if (socket.readableEnded || socket.destroyed) throw socket.errored ?? new Error('the viewer was not let in');
      else await this.#nextEvent();
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  /** Leaves no listener: a viewer waits so often that they would take minutes to be told of a connection that breaks. */
  #nextEvent(): Promise<void> {
    const { socket } = this;
    return new Promise((resolve) => {
      const wake = () => {
        for (const event of EVENTS) socket.off(event, wake);
        resolve();
      };
      for (const event of EVENTS) socket.on(event, wake);
    });
  }
}
