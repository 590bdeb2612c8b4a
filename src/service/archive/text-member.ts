/** Writes a small member of a tar archive: what stands before that which tar(1) writes. */
import { BLOCK } from '../../oci/tar/header.js';

/** A regular file of root's, for root alone: POSIX pax(1), "ustar Interchange Format". */
export function textMember(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const header = Buffer.alloc(BLOCK);
  const put = (at: number, value: string) => header.write(value, at, 'latin1');
  put(0, name);
  put(100, octal(0o600, 8));
  put(108, octal(0, 8));
  put(116, octal(0, 8));
  put(124, octal(content.length, 12));
  put(136, octal(Math.floor(Date.now() / 1000), 12));
  put(148, ' '.repeat(8));
  put(156, '0');
  put(257, 'ustar\x0000');
  put(329, octal(0, 8));
  put(337, octal(0, 8));
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 7)}\0 `.slice(0, 8));
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** With a zero behind it. */
function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}
