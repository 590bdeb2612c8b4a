/**
 * Text of Linux that need not be UTF-8: arguments, names, variables. If it is not, each byte beyond ASCII becomes a
 * lone low surrogate, U+DC00 plus the byte. No Unicode text has those, so the original bytes can be restored.
 */
import { isUtf8 } from 'node:buffer';

const RAW = /[\udc80-\udcff]+/u;

/** Decodes bytes; {@link bytesOf} restores them. */
export function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

/** Encodes text of {@link textOf}. */
export function bytesOf(text: string): Buffer {
  if (!isRaw(text)) return Buffer.from(text);
  const parts = text.split(new RegExp(`(${RAW.source})`, 'u'));
  return Buffer.concat(parts.map((part) => (isRaw(part) ? Buffer.from(part, 'latin1') : Buffer.from(part))));
}

/** True if the text stands for bytes that are not UTF-8. */
export function isRaw(text: string): boolean {
  return RAW.test(text);
}
