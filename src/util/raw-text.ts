/**
 * Text of Linux that need not be UTF-8: arguments, names, variables. Where it is not, each of its bytes that is not ASCII is a low surrogate of its own,
 * U+DC00 and the byte, which no text has that is Unicode; so it can be passed on as it was.
 */
import { isUtf8 } from 'node:buffer';

const RAW = /[\udc80-\udcff]+/u;

export function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

export function bytesOf(text: string): Buffer {
  if (!isRaw(text)) return Buffer.from(text);
  const parts = text.split(new RegExp(`(${RAW.source})`, 'u'));
  return Buffer.concat(parts.map((part) => (isRaw(part) ? Buffer.from(part, 'latin1') : Buffer.from(part))));
}

/** Whether it has bytes that are not UTF-8. */
export function isRaw(text: string): boolean {
  return RAW.test(text);
}
