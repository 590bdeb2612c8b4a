/** A viewer of VNC: https://www.rfc-editor.org/rfc/rfc6143 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const RAW = 0;

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
  static async open(path: string): Promise<Viewer> {
    const socket = connect(path);
    await once(socket, 'connect');
    const input = new Input(socket);
    assert.equal((await input.read(12)).toString('latin1'), 'RFB 003.008\n');
    socket.write('RFB 003.008\n');
    const [count = 0] = await input.read(1);
    assert.ok([...(await input.read(count))].includes(1), 'it asks for no password');
    socket.write(Buffer.of(1));
    assert.equal((await input.read(4)).readUInt32BE(), 0);
    // Others stay.
    socket.write(Buffer.of(1));
    const said = await input.read(24);
    await input.read(said.readUInt32BE(20));
    // 32 bits, little-endian, blue green red.
    socket.write(Buffer.from('0000000020180001' + '00ff00ff00ff100800000000', 'hex'));
    socket.write(Buffer.of(2, 0, 0, 1, 0, 0, 0, RAW));
    return new Viewer(input, said.readUInt16BE(0), said.readUInt16BE(2));
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

class Input {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
  }

  async read(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      const more = this.socket.read() as Buffer | null;
      if (more !== null) this.#bytes = Buffer.concat([this.#bytes, more]);
      else if (this.socket.readableEnded || this.socket.destroyed) throw new Error('the viewer was not let in');
      else await Promise.race([once(this.socket, 'readable'), once(this.socket, 'end'), once(this.socket, 'close')]);
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }
}
