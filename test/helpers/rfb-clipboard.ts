/**
 * A viewer of VNC that copies and pastes:
 * https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst#extended-clipboard-pseudo-encoding
 */
import assert from 'node:assert/strict';
import { deflateSync, inflateSync } from 'node:zlib';
import { begin, type Input, unasked } from './rfb.js';

const TEXT = 1;
const CAPS = 1 << 24;
const REQUEST = 1 << 25;
const NOTIFY = 1 << 27;
const PROVIDE = 1 << 28;

export class ClipboardViewer {
  /** What came, in order. */
  readonly texts: string[] = [];
  /** How often there was said to be one. */
  notified = 0;
  /** How often it was asked for its text. */
  asked = 0;
  readonly #input: Input;
  #packed: Uint8Array = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  #hasCaps = false;
  #isStopped = false;
  #failure: unknown;

  private constructor(input: Input) {
    this.#input = input;
    void this.#listen().catch((error: unknown) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** @throws a system error if it is not let in */
  static async open(path: string): Promise<ClipboardViewer> {
    const input = await unasked(path);
    await begin(input);
    const viewer = new ClipboardViewer(input);
    input.socket.write(Buffer.from([2, 0, 0, 1, 0xc0, 0xa1, 0xe5, 0xce]));
    await viewer.until(() => viewer.#hasCaps);
    return viewer;
  }

  /** Tells that there is a text, and sends it when it is asked for it. */
  copy(text: string): void {
    this.copyBytes(Buffer.from(`${text.replaceAll('\n', '\r\n')}\0`));
  }

  copyBytes(content: Uint8Array, length = content.length): void {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    this.copyPacked(deflateSync(Buffer.concat([head, content])));
  }

  copyPacked(packed: Uint8Array): void {
    this.#packed = packed;
    this.#send(NOTIFY | TEXT);
  }

  /** As viewers do that speak no extension: in Latin-1, at once. */
  copyPlain(bytes: Uint8Array, length = bytes.length): void {
    const head = Buffer.of(6, 0, 0, 0, 0, 0, 0, 0);
    head.writeUInt32BE(length, 4);
    this.#input.socket.write(Buffer.concat([head, bytes]));
  }

  /** Resolves when it is so. @throws if the server ends the connection before */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** From now on it reads nothing. */
  stopReading(): void {
    this.#isStopped = true;
  }

  close(): void {
    this.#input.socket.destroy();
  }

  async #listen(): Promise<void> {
    while (!this.#isStopped) {
      const head = await this.#input.read(8);
      assert.equal(head.readUInt8(), 3, 'what comes is a text for the clipboard');
      const length = -head.readInt32BE(4);
      assert.ok(length >= 4, 'it speaks the extension');
      const flags = (await this.#input.read(4)).readUInt32BE();
      const payload = await this.#input.read(length - 4);
      if ((flags & CAPS) !== 0) this.#hasCaps = true;
      else if ((flags & NOTIFY) !== 0) {
        if ((flags & TEXT) !== 0) {
          this.notified += 1;
          this.#send(REQUEST | TEXT);
        }
      } else if ((flags & REQUEST) !== 0) {
        this.#send(PROVIDE | TEXT, this.#packed);
        this.asked += 1;
      } else if ((flags & PROVIDE) !== 0) {
        const content = inflateSync(payload);
        const text = content.toString('utf8', 4, 4 + content.readUInt32BE());
        this.texts.push(text.replace(/\0$/, '').replaceAll('\r\n', '\n'));
      }
      this.#wake();
    }
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  #send(flags: number, payload: Uint8Array = Buffer.alloc(0)): void {
    const head = Buffer.alloc(12);
    head.writeUInt8(6);
    head.writeInt32BE(-(4 + payload.length), 4);
    head.writeUInt32BE(flags, 8);
    this.#input.socket.write(Buffer.concat([head, payload]));
  }
}
