/** A viewer of VNC that asks for other sizes, and is told of the pointer's shape: TigerVNC and noVNC do so. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { greet, type Input } from './rfb.js';

const NO_PASSWORD = 1;
const RAW = 0;
/** https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst#extendeddesktopsize-pseudo-encoding */
const EXTENDED_DESKTOP_SIZE = -308;
const CURSOR = -239;

/** Most of a busy machine's time, in milliseconds. */
const PATIENCE_MS = 90_000;
/** Without a pixel, until it connects again, as a person would. In milliseconds. */
const STALLED_MS = 5_000;

interface Connected {
  readonly input: Input;
  readonly width: number;
  readonly height: number;
}

export class ResizingViewer {
  width: number;
  height: number;
  /** Of each shape that the pointer has got: how many pixels are seen of it. */
  readonly cursors: number[] = [];
  /** What of the picture has come in the size that it has now: pixels in all. */
  pixels = 0;
  picture: Buffer;
  /** When all of a picture had come, in milliseconds. */
  shown = 0;
  /** How often it had to connect again: see docs/decisions/0075-resize.md, "A viewer that stands still". */
  reconnected = 0;
  readonly #path: string;
  readonly #hasCursor: boolean;
  #input: Input;
  #error: unknown;
  #isClosed = false;

  private constructor(path: string, hasCursor: boolean, { input, width, height }: Connected) {
    this.#path = path;
    this.#hasCursor = hasCursor;
    this.#input = input;
    this.width = width;
    this.height = height;
    this.picture = Buffer.alloc(width * height * 4);
  }

  /** @param hasCursor whether it draws the pointer itself */
  static async open(path: string, { hasCursor = false } = {}): Promise<ResizingViewer> {
    const viewer = new ResizingViewer(path, hasCursor, await connected(path, hasCursor));
    viewer.#begin();
    return viewer;
  }

  #begin(): void {
    const input = this.#input;
    this.#ask(false);
    void this.#read(input).catch((error: unknown) => {
      if (input === this.#input) this.#error = error;
    });
  }

  async #again(): Promise<void> {
    const { socket } = this.#input;
    const { input, width, height } = await connected(this.#path, this.#hasCursor);
    this.#input = input;
    socket.destroy();
    this.reconnected += 1;
    this.#take(width, height);
    this.#begin();
  }

  /** SetDesktopSize. */
  resize(width: number, height: number): void {
    const message = Buffer.alloc(24);
    message.writeUInt8(251);
    message.writeUInt16BE(width, 2);
    message.writeUInt16BE(height, 4);
    message.writeUInt8(1, 6);
    message.writeUInt16BE(width, 16);
    message.writeUInt16BE(height, 18);
    this.#input.socket.write(message);
  }

  /** Moves the pointer, with the left button down or up. */
  point(x: number, y: number, isDown = false): void {
    const message = Buffer.of(5, Number(isDown), 0, 0, 0, 0);
    message.writeUInt16BE(x, 2);
    message.writeUInt16BE(y, 4);
    this.#input.socket.write(message);
  }

  click(x: number, y: number): void {
    for (const isDown of [false, true, false]) this.point(x, y, isDown);
  }

  async until(isRight: () => boolean, what: string, meanwhile = async () => {}): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; !isRight(); await sleep(20)) {
      await meanwhile();
      if (this.#error !== undefined) throw this.#error;
      if (Date.now() > deadline)
        assert.fail(
          `not ${what}: ${this.width}x${this.height}, ${this.pixels} pixels, pointers ${this.cursors.join()}`,
        );
    }
  }

  /** Until it has the whole of a picture of that size. */
  async untilSize(width: number, height: number): Promise<void> {
    const isSize = () => this.width === width && this.height === height;
    let [pixels, since] = [-1, 0];
    await this.until(
      () => isSize() && this.pixels >= width * height,
      `${width}x${height}`,
      async () => {
        if (!isSize() || this.pixels !== pixels) [pixels, since] = [this.pixels, Date.now()];
        else if (Date.now() - since > STALLED_MS) await this.#again();
      },
    );
  }

  colourAt(x: number, y: number): string {
    const at = (y * this.width + x) * 4;
    return `#${[2, 1, 0].map((byte) => this.picture.toString('hex', at + byte, at + byte + 1)).join('')}`;
  }

  close(): void {
    this.#isClosed = true;
    this.#input.socket.destroy();
  }

  #take(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.picture = Buffer.alloc(width * height * 4);
    this.pixels = 0;
  }

  #ask(isIncremental: boolean): void {
    const message = Buffer.alloc(10);
    message.writeUInt8(3);
    message.writeUInt8(Number(isIncremental), 1);
    message.writeUInt16BE(this.width, 6);
    message.writeUInt16BE(this.height, 8);
    this.#input.socket.write(message);
  }

  async #read(input: Input): Promise<void> {
    while (!this.#isClosed && input === this.#input) {
      const [type] = await input.read(1);
      if (type === 3) await input.read((await input.read(7)).readUInt32BE(3));
      else {
        assert.equal(type, 0, 'what is no text for the clipboard is an update');
        const rectangles = (await input.read(3)).readUInt16BE(1);
        for (let number = 0; number < rectangles; number += 1) await this.#rectangle(input);
        // What was there before it asked anew may have come in the old size.
        this.#ask(this.pixels > 0);
      }
    }
  }

  async #rectangle(input: Input): Promise<void> {
    const head = await input.read(12);
    const [left = 0, top = 0, width = 0, height = 0] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at));
    switch (head.readInt32BE(8)) {
      case RAW:
        for (let row = 0; row < height; row += 1)
          (await input.read(width * 4)).copy(this.picture, ((top + row) * this.width + left) * 4);
        this.pixels += width * height;
        if (this.pixels >= this.width * this.height) this.shown = performance.now();
        break;
      case EXTENDED_DESKTOP_SIZE: {
        const [screens = 0] = await input.read(4);
        await input.read(16 * screens);
        // With a status, it is the answer to what this viewer has asked for: here that it was handed on.
        if (top !== 0 || (width === this.width && height === this.height)) break;
        this.#take(width, height);
        break;
      }
      case CURSOR: {
        const [shape, mask] = [await input.read(width * height * 4), await input.read(((width + 7) >> 3) * height)];
        assert.ok(shape.length > 0);
        this.cursors.push([...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0));
        break;
      }
      default:
        assert.fail(`it has not said that it knows ${head.readInt32BE(8)}`);
    }
  }
}

async function connected(path: string, hasCursor: boolean): Promise<Connected> {
  const { input, kinds } = await greet({ path });
  assert.ok(kinds.includes(NO_PASSWORD));
  input.socket.write(Buffer.of(NO_PASSWORD));
  assert.equal((await input.read(4)).readUInt32BE(), 0);
  // Others stay.
  input.socket.write(Buffer.of(1));
  const said = await input.read(24);
  await input.read(said.readUInt32BE(20));
  // 32 bits, little-endian, blue green red.
  input.socket.write(Buffer.from('0000000020180001' + '00ff00ff00ff100800000000', 'hex'));
  const encodings = [RAW, EXTENDED_DESKTOP_SIZE, ...(hasCursor ? [CURSOR] : [])];
  const known = Buffer.alloc(4 * encodings.length);
  for (const [at, encoding] of encodings.entries()) known.writeInt32BE(encoding, 4 * at);
  input.socket.write(Buffer.concat([Buffer.of(2, 0, 0, encodings.length), known]));
  return { input, width: said.readUInt16BE(0), height: said.readUInt16BE(2) };
}
