/**
 * What a viewer says to a server of VNC (https://www.rfc-editor.org/rfc/rfc6143), in whole messages. Only those come
 * through that viewers need for pictures, keys and the pointer; those about the clipboard only where it is wanted.
 */
import { Transform, type TransformCallback } from 'node:stream';

/** The version, the choice of no password, and that other viewers may stay. The server says something after each. */
const GREETING: readonly Buffer[] = [Buffer.from('RFB 003.008\n'), Buffer.of(1), Buffer.of(1)];

/** QEMU takes as much. */
const MOST_CUT_TEXT = 1 << 20;
const MOST_ENCODINGS = 128;

/** The largest message. */
export const MOST_BYTES = MOST_CUT_TEXT + 8;

const SET_ENCODINGS = 2;
const CUT_TEXT = 6;

/** By them QEMU learns that a viewer wants texts of the clipboard, or sends longer messages about the pointer. */
const EXTENDED_CLIPBOARD = -1_063_131_698;
const EXTENDED_MOUSE_BUTTONS = -316;

/** The length of a message, which may be in its first bytes; undefined: these are not all there. */
type Length = (message: Buffer) => number | undefined;

const fixed =
  (bytes: number): Length =>
  () =>
    bytes;
const counted =
  (head: number, length: Length): Length =>
  (message) =>
    message.length < head ? undefined : length(message);

const LENGTHS: ReadonlyMap<number, Length> = new Map([
  // SetPixelFormat
  [0, fixed(20)],
  [SET_ENCODINGS, counted(4, (message) => 4 + 4 * bounded(message.readUInt16BE(2), MOST_ENCODINGS))],
  // FramebufferUpdateRequest, KeyEvent, PointerEvent
  [3, fixed(10)],
  [4, fixed(8)],
  [5, fixed(6)],
  // A negative length is one of the extended clipboard.
  [CUT_TEXT, counted(8, (message) => 8 + bounded(Math.abs(message.readInt32BE(4)), MOST_CUT_TEXT))],
  // EnableContinuousUpdates, ClientFence, SetDesktopSize
  [150, fixed(10)],
  [248, counted(9, (message) => 9 + bounded(message.readUInt8(8), 64))],
  [251, counted(8, (message) => 8 + 16 * message.readUInt8(6))],
  // Of QEMU's own messages that for a key: those for sound are refused.
  [255, counted(2, (message) => 12 + bounded(message.readUInt8(1), 0))],
]);

function bounded(number: number, most: number): number {
  if (number <= most) return number;
  throw new Error('a message of the viewer is too long, or unknown');
}

/** Fails at the first message that is none of these. */
export class ClientMessages extends Transform {
  readonly #clipboard: boolean;
  readonly #mayExclude: boolean;
  /** How many parts of the greeting have come. */
  #greeted = 0;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Less is no whole message. */
  #wanted = 1;

  /** @param mayExclude it may ask that other viewers go; that they may stay is what the server hears */
  constructor({ clipboard, mayExclude = false }: { readonly clipboard: boolean; readonly mayExclude?: boolean }) {
    super();
    this.#clipboard = clipboard;
    this.#mayExclude = mayExclude;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    try {
      if (this.#length >= this.#wanted) this.#handOn();
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  #handOn(): void {
    let rest = Buffer.concat(this.#chunks);
    const passed: Buffer[] = [];
    for (;;) {
      const length = this.#lengthOf(rest);
      this.#wanted = length ?? rest.length + 1;
      if (length === undefined || rest.length < length) break;
      const message = this.#checked(rest.subarray(0, length));
      if (message !== undefined) passed.push(message);
      rest = rest.subarray(length);
    }
    this.#chunks = [rest];
    this.#length = rest.length;
    if (passed.length > 0) this.push(Buffer.concat(passed));
  }

  #lengthOf(message: Buffer): number | undefined {
    const greeting = GREETING[this.#greeted];
    if (greeting !== undefined) return greeting.length;
    const [type] = message;
    if (type === undefined) return undefined;
    const length = LENGTHS.get(type);
    if (length === undefined) throw new Error(`a viewer may not send messages of type ${type}`);
    return length(message);
  }

  /** @returns undefined: it is left out */
  #checked(message: Buffer): Buffer | undefined {
    const greeting = GREETING[this.#greeted];
    if (greeting !== undefined) {
      const isLast = this.#greeted === GREETING.length - 1;
      if (!message.equals(greeting) && !(isLast && this.#mayExclude))
        throw new Error('the viewer does not greet as it should');
      this.#greeted += 1;
      return greeting;
    }
    if (message[0] === SET_ENCODINGS) return this.#encodings(message);
    return message[0] === CUT_TEXT && !this.#clipboard ? undefined : message;
  }

  #encodings(message: Buffer): Buffer {
    const all = Array.from({ length: message.readUInt16BE(2) }, (_, number) => message.readInt32BE(4 + 4 * number));
    const left = all.filter(
      (encoding) => encoding !== EXTENDED_MOUSE_BUTTONS && (this.#clipboard || encoding !== EXTENDED_CLIPBOARD),
    );
    const changed = Buffer.alloc(4 + 4 * left.length);
    changed.writeUInt8(SET_ENCODINGS);
    changed.writeUInt16BE(left.length, 2);
    left.forEach((encoding, number) => void changed.writeInt32BE(encoding, 4 + 4 * number));
    return changed;
  }
}
