/**
 * Looks at the screen of a VNC server, types and points. It asks for pixels as they are, and for nothing else that would
 * have to be unpacked: https://www.rfc-editor.org/rfc/rfc6143
 */
import type { Duplex } from 'node:stream';
import { MOST_SIDE, RfbConnection, RfbError, type RfbOptions } from './connection.js';

const SET_PIXEL_FORMAT = 0;
const SET_ENCODINGS = 2;
const REQUEST = 3;
const KEY = 4;
const POINTER = 5;

const UPDATE = 0;
const COLOURS = 1;
const BELL = 2;
const CUT_TEXT = 3;

const RAW = 0;
/** A new size of the screen, in place of pixels. */
const DESKTOP_SIZE = -223;

/** 32 bits each, in this order of bytes: red, green, blue, one that says nothing. */
const FORMAT = '2018000100ff00ff00ff000810000000';
const PIXEL_BYTES = 4;
const RGB_BYTES = 3;

/** Of pixels that are read at once. */
const PIECE_BYTES = 65_536;

/** Bytes besides the pixels of one screen: heads of rectangles, bells, texts for a clipboard. */
const MOST_OTHER_BYTES = 1 << 20;

/** What a read counts besides its bytes: a server may say a million things of one byte. */
const READ_BYTES = 64;

/** How often the screen may change its size while a picture is taken. */
const MOST_SIZES = 4;

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Row after row; of each pixel red, green and blue. */
  readonly rgb: Buffer;
}

/** Where pixels go; undefined: nowhere. */
type Canvas = Pixels | undefined;

interface Update {
  /** How many pixels came. */
  readonly area: number;
  readonly isResized: boolean;
}

export class RfbClient {
  readonly #connection: RfbConnection;
  #width: number;
  #height: number;
  /** How many bytes the server may send for what is being asked. */
  #budget = 0;

  private constructor(connection: RfbConnection) {
    this.#connection = connection;
    this.#width = connection.width;
    this.#height = connection.height;
  }

  /**
   * @param stream as of {@link RfbConnection.open}
   * @throws {RfbError}
   */
  static async open(stream: Duplex, options: RfbOptions = {}): Promise<RfbClient> {
    const connection = await RfbConnection.open(stream, options);
    const wanted = [RAW, DESKTOP_SIZE];
    const encodings = Buffer.alloc(4 + 4 * wanted.length);
    encodings.writeUInt8(SET_ENCODINGS, 0);
    encodings.writeUInt16BE(wanted.length, 2);
    for (const [index, encoding] of wanted.entries()) encodings.writeInt32BE(encoding, 4 + 4 * index);
    await connection.write(
      Buffer.concat([Buffer.of(SET_PIXEL_FORMAT, 0, 0, 0), Buffer.from(FORMAT, 'hex'), encodings]),
    );
    return new RfbClient(connection);
  }

  /** Pixels, as the server said last: 1 to {@link MOST_SIDE}. */
  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  get isOver(): boolean {
    return this.#connection.failure !== undefined;
  }

  close(error?: RfbError): void {
    this.#connection.close(error);
  }

  /**
   * What the screen shows now.
   * @throws {RfbError}
   */
  async picture(): Promise<Pixels> {
    for (let sizes = 0; sizes < MOST_SIZES; sizes += 1) {
      const [width, height] = [this.#width, this.#height];
      const canvas = { width, height, rgb: Buffer.alloc(width * height * RGB_BYTES) };
      this.#budget = width * height * PIXEL_BYTES + MOST_OTHER_BYTES;
      await this.#request(width, height);
      for (let missing = width * height; ; ) {
        const { area, isResized } = await this.#update(canvas);
        if (isResized) break;
        missing -= area;
        if (missing <= 0) return canvas;
      }
    }
    throw this.#resizes();
  }

  /** @throws {RfbError} */
  async key(keysym: number, down: boolean): Promise<void> {
    const message = Buffer.alloc(8);
    message.writeUInt8(KEY, 0);
    message.writeUInt8(down ? 1 : 0, 1);
    message.writeUInt32BE(keysym, 4);
    await this.#connection.write(message);
  }

  /**
   * @param buttons a bit for each that is down: 1 the left one, 2 the middle one, 4 the right one
   * @throws {RfbError}
   */
  async pointer(x: number, y: number, buttons: number): Promise<void> {
    const message = Buffer.alloc(6);
    message.writeUInt8(POINTER, 0);
    message.writeUInt8(buttons, 1);
    message.writeUInt16BE(x, 2);
    message.writeUInt16BE(y, 4);
    await this.#connection.write(message);
  }

  /**
   * Resolves when the server has taken what it was sent: it answers in order.
   * @throws {RfbError}
   */
  async settled(): Promise<void> {
    for (let sizes = 0; sizes < MOST_SIZES; sizes += 1) {
      this.#budget = MOST_OTHER_BYTES;
      await this.#request(1, 1);
      if (!(await this.#update(undefined)).isResized) return;
    }
    throw this.#resizes();
  }

  /** Asks for the pixels at the top left, also for those that have not changed. */
  async #request(width: number, height: number): Promise<void> {
    const message = Buffer.alloc(10);
    message.writeUInt8(REQUEST, 0);
    message.writeUInt16BE(width, 6);
    message.writeUInt16BE(height, 8);
    await this.#connection.write(message);
  }

  /** The next update. What comes before it is passed over. */
  async #update(canvas: Canvas): Promise<Update> {
    for (;;) {
      const [type = 0] = await this.#read(1);
      switch (type) {
        case UPDATE:
          return this.#rectangles((await this.#read(3)).readUInt16BE(1), canvas);
        case COLOURS:
          await this.#skip((await this.#read(5)).readUInt16BE(3) * 6);
          break;
        case BELL:
          break;
        case CUT_TEXT:
          await this.#skip((await this.#read(7)).readUInt32BE(3));
          break;
        default:
          throw this.#fault('protocol', `sends a message of the unknown type ${type}`);
      }
    }
  }

  async #rectangles(count: number, canvas: Canvas): Promise<Update> {
    let area = 0;
    let isResized = false;
    for (let number = 0; number < count; number += 1) {
      const head = await this.#read(12);
      const [x, y] = [head.readUInt16BE(0), head.readUInt16BE(2)];
      const [width, height] = [head.readUInt16BE(4), head.readUInt16BE(6)];
      const encoding = head.readInt32BE(8);
      if (encoding === DESKTOP_SIZE) {
        this.#resize(width, height);
        isResized = true;
      } else if (encoding === RAW) {
        // Of another size than the canvas, they would be nowhere.
        await this.#pixels({ x, y, width, height }, isResized ? undefined : canvas);
        area += width * height;
      } else throw this.#fault('protocol', `sends pixels in the encoding ${encoding}, which nobody has asked for`);
    }
    return { area, isResized };
  }

  #resize(width: number, height: number): void {
    if (![width, height].every((side) => side >= 1 && side <= MOST_SIDE))
      throw this.#fault('bound', `has a screen of ${width}x${height}`);
    this.#width = width;
    this.#height = height;
  }

  async #pixels(
    {
      x,
      y,
      width,
      height,
    }: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
    canvas: Canvas,
  ): Promise<void> {
    if (x + width > this.#width || y + height > this.#height)
      throw this.#fault('protocol', `sends pixels at ${x},${y} that are ${width}x${height}, beside its screen`);
    if (width === 0 || height === 0) return;
    const rows = Math.max(1, Math.floor(PIECE_BYTES / (width * PIXEL_BYTES)));
    for (let row = 0; row < height; row += rows) {
      const count = Math.min(rows, height - row);
      const bytes = await this.#read(count * width * PIXEL_BYTES);
      if (canvas === undefined) continue;
      for (let line = 0; line < count; line += 1) {
        let to = ((y + row + line) * canvas.width + x) * RGB_BYTES;
        const end = (line + 1) * width * PIXEL_BYTES;
        for (let from = line * width * PIXEL_BYTES; from < end; from += PIXEL_BYTES) {
          canvas.rgb[to] = bytes[from] ?? 0;
          canvas.rgb[to + 1] = bytes[from + 1] ?? 0;
          canvas.rgb[to + 2] = bytes[from + 2] ?? 0;
          to += RGB_BYTES;
        }
      }
    }
  }

  async #read(count: number): Promise<Buffer> {
    this.#spend(count);
    return this.#connection.read(count);
  }

  async #skip(count: number): Promise<void> {
    this.#spend(count);
    await this.#connection.skip(count);
  }

  #spend(count: number): void {
    this.#budget -= count + READ_BYTES;
    if (this.#budget < 0) throw this.#fault('bound', 'sends more than it was asked for');
  }

  #resizes(): RfbError {
    return this.#fault('bound', 'changes the size of its screen all the time');
  }

  #fault(fault: 'protocol' | 'bound', what: string): RfbError {
    const error = new RfbError(fault, `the VNC server ${what}`);
    this.close(error);
    return error;
  }
}
