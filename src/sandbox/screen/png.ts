/** Writes a picture as PNG: https://www.w3.org/TR/png-3/ */
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import type { Pixels } from '../../rfb/client.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Red, green and blue. */
const CHANNELS = 3;
const BITS = 8;
const TRUE_COLOUR = 2;

export async function pngOf({ width, height, rgb }: Pixels): Promise<Buffer> {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.writeUInt8(BITS, 8);
  head.writeUInt8(TRUE_COLOUR, 9);
  const row = width * CHANNELS;
  // Before each row a byte that says how it is filtered: not at all.
  const rows = Buffer.alloc((1 + row) * height);
  for (let y = 0; y < height; y += 1) rgb.copy(rows, y * (1 + row) + 1, y * row, (y + 1) * row);
  // Screens have large areas of one colour: the quickest level makes them small.
  const data = await promisify(deflate)(rows, { level: 1 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(data.length, 0);
  numbers.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([numbers.subarray(0, 4), body, numbers.subarray(4)]);
}
