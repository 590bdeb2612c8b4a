/**
 * Messages with texts of the clipboard. Those of the Extended Clipboard say first that there is a text, and send it when
 * they are asked: https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst#extended-clipboard-pseudo-encoding
 */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';

/** Number of the encoding by which a client says that it speaks it. */
export const EXTENDED_CLIPBOARD = 0xc0a1e5ce;

/** Types of messages. */
export const SET_ENCODINGS = 2;
export const CLIENT_CUT_TEXT = 6;
export const BELL = 2;
export const SERVER_CUT_TEXT = 3;

/** What a message says, and of what kind of content: in bits. */
export const Clip = {
  TEXT: 1,
  CAPS: 0x0100_0000,
  REQUEST: 0x0200_0000,
  NOTIFY: 0x0800_0000,
  PROVIDE: 0x1000_0000,
} as const;

/** Bytes of a text, in UTF-8. QEMU takes and hands on a little more: a mebibyte, with the length and CR before each LF. */
export const MOST_TEXT_BYTES = 1_000_000;

/** Bytes of the length before the text. */
const LENGTH_BYTES = 4;

/** @param flags of {@link Clip} */
export function cutTextMessage(flags: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt8(CLIENT_CUT_TEXT, 0);
  // A negative length tells it from a text in Latin-1.
  head.writeInt32BE(-(4 + payload.length), 4);
  head.writeUInt32BE(flags, 8);
  return Buffer.concat([head, payload]);
}

/** Says which encodings a client takes. */
export function setEncodings(...encodings: readonly number[]): Buffer {
  const message = Buffer.alloc(4 + 4 * encodings.length);
  message.writeUInt8(SET_ENCODINGS, 0);
  message.writeUInt16BE(encodings.length, 2);
  for (const [index, encoding] of encodings.entries()) message.writeUInt32BE(encoding, 4 + 4 * index);
  return message;
}

/** What follows the flags of a message that provides a text; undefined: it is too large. */
export async function packText(text: string): Promise<Buffer | undefined> {
  const content = Buffer.from(`${text.replace(/\r?\n/g, '\r\n')}\0`);
  // The NUL is not counted as text.
  if (content.length > MOST_TEXT_BYTES + 1) return undefined;
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(content.length);
  return promisify<Buffer, Buffer>(deflate)(Buffer.concat([length, content]));
}

/** Undefined: it is none, or too large. */
export async function unpackText(packed: Uint8Array): Promise<string | undefined> {
  const most = LENGTH_BYTES + MOST_TEXT_BYTES + 1;
  const unpack = promisify<Uint8Array, { readonly maxOutputLength: number }, Buffer>(inflate);
  const content = await unpack(packed, { maxOutputLength: most }).catch(() => undefined);
  if (content === undefined || content.length < LENGTH_BYTES) return undefined;
  const length = content.readUInt32BE();
  return length > content.length - LENGTH_BYTES
    ? undefined
    : readText(content.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
}

/**
 * A text of a client, up to its NUL. It is UTF-8; Latin-1 is what older clients send, which QEMU hands on unchanged.
 */
export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const whole = end < 0 ? bytes : bytes.subarray(0, end);
  return decode(whole).replaceAll('\r\n', '\n');
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}
